"""A gateway whose LiteLLM config leads out of the EU wherever it can: other providers, fallbacks, aliases."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from gateway_process import CONFIG, GatewayProcess, running_gateway
from other_provider import OtherProvider, other_provider

from aai_gateway.emulator import Emulator

US_MODEL = "assemblyai/claude-sonnet-4-6"
EU_MODEL = "eu.assemblyai/claude-sonnet-4-6"


@dataclass(frozen=True)
class ResidencyWorld:
    """The gateway, a provider outside the EU that is also its HTTPS proxy, and one inside the EU."""

    gateway: GatewayProcess
    emulator: Emulator
    outside: OtherProvider
    inside: OtherProvider


@contextmanager
def residency_world(emulator: Emulator, folder: Path) -> Iterator[ResidencyWorld]:
    """The world, started and stopped."""
    with other_provider() as outside, other_provider() as inside:
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(leaky_config(emulator, outside, inside)))
        environment = {
            "HTTPS_PROXY": outside.url,
            "https_proxy": outside.url,
            "OPENAI_API_KEY": secrets.token_hex(8),
            "OPENAI_API_BASE": f"{outside.url}/v1",
            "ANTHROPIC_API_KEY": secrets.token_hex(8),
            "ANTHROPIC_API_BASE": outside.url,
        }
        arguments = ("--config", str(config))
        # The command itself, with all that LiteLLM reads of its environment as it is imported.
        with running_gateway(emulator, folder, *arguments, forked=False, **environment) as gateway:
            yield ResidencyWorld(gateway, emulator, outside, inside)


def leaky_config(emulator: Emulator, outside: OtherProvider, inside: OtherProvider) -> dict[str, Any]:
    """The shipped config with everything that an operator could add to lead out."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())

    def add(name: str, model: str, base: str, **more: Any) -> None:
        parameters = {"model": model, "api_base": base, "api_key": "none", **more}
        config["model_list"].append({"model_name": name, "litellm_params": parameters})

    for model in ("gpt-4o-mini", "text-embedding-3-small", "gpt-image-1", "whisper-1", "tts-1"):
        add(f"outside-{model}", f"openai/{model}", f"{outside.url}/v1")
        add(f"inside-{model}", f"openai/{model}", f"{inside.url}/v1", region_name="eu")
    add("outside-moderation", "openai/omni-moderation-latest", f"{outside.url}/v1")
    add("outside-rerank", "cohere/rerank-v3", outside.url)
    add("inside-wildcard/*", "openai/*", f"{outside.url}/v1", region_name="eu")
    add("openai/*", "openai/*", f"{outside.url}/v1")
    add("anthropic/*", "anthropic/*", outside.url)
    add("disguised", "openai/claude-haiku-4-5-20251001", f"{emulator.urls.llm_us}/v1")
    add("house-us", US_MODEL, f"{emulator.urls.llm_us}/v1")
    add("house-eu", US_MODEL, f"{emulator.urls.llm_eu}/v1")
    add("house-mixed", US_MODEL, f"{emulator.urls.llm_eu}/v1")
    add("house-mixed", US_MODEL, f"{emulator.urls.llm_us}/v1")
    leads_out = [US_MODEL, "house-us", "outside-gpt-4o-mini"]
    config["router_settings"] |= {
        "fallbacks": [{name: leads_out} for name in (EU_MODEL, "house-eu", "inside-gpt-4o-mini", "fast")],
        "context_window_fallbacks": [{EU_MODEL: leads_out}],
        "content_policy_fallbacks": [{EU_MODEL: leads_out}],
        "default_fallbacks": leads_out,
        "model_group_alias": {
            "fast": "eu.assemblyai/gemini-2.5-flash",
            "slow": US_MODEL,
            "eu.assemblyai/sneaky": US_MODEL,
        },
    }
    return config
