"""`import aai_gateway.litellm_models` in a plain script, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from chat_world import bodies

from aai_gateway.emulator import Emulator

SCRIPT = """
import json, os, sys
import litellm
import aai_gateway.litellm_models

url = sys.argv[1] + "/v1"
messages = [{"role": "user", "content": "Hello there."}]
part = {"type": "text", "text": "Hello there.", "cache_control": {"type": "ephemeral"}}
cached = [{"role": "user", "content": [part]}]
tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
common = {"api_base": url, "api_key": os.environ["ASSEMBLYAI_API_KEY"], "max_retries": 0}
plain = litellm.completion("assemblyai/claude-sonnet-4-6", messages, **common)
full = litellm.completion(
    "assemblyai/gpt-5", messages, transcript_id="unused", tools=[tool], reasoning_effort="low",
    extra_body={"fallbacks": [{"model": "gpt-5-mini"}]}, **common,
)
chunks = list(litellm.completion("assemblyai/claude-sonnet-4-6", cached, stream=True, **common))
about = [{"role": "user", "content": "{{ transcript }}"}]
try:
    litellm.completion("assemblyai/gpt-5", about, transcript_id="no", **common)
except litellm.NotFoundError as error:
    refusal = str(error)
print(json.dumps({
    "cost": litellm.completion_cost(plain), "hidden_cost": plain._hidden_params["response_cost"],
    "tokens": [plain.usage.prompt_tokens, plain.usage.completion_tokens],
    "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
    "said": plain.choices[0].message.content, "refusal": refusal,
    "proxy": [name for name in sys.modules if name.startswith("litellm.proxy.proxy_server")],
    "listed": sorted(litellm.models_by_provider["assemblyai"])[:3],
}))
"""


def run(script: str, *arguments: str, key: str) -> dict[str, Any]:
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "ASSEMBLYAI_API_KEY": key}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert 0 == done.returncode, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_one_import_gives_a_script_costs_and_parameters(emulator: Emulator) -> None:
    before = len(bodies(emulator.urls.llm_us))

    found = run(SCRIPT, emulator.urls.llm_us, key=emulator.config.account_key)

    prompt, completion = found["tokens"]
    sonnet = pytest.approx((prompt * 3 + completion * 15) * 1.1 / 1_000_000)  # 10 % on top in the region
    assert sonnet == found["cost"]
    assert sonnet == found["hidden_cost"]
    assert found["said"] == found["streamed"] != ""
    assert "transcript not found" in found["refusal"]
    assert [] == found["proxy"]
    assert all(name.startswith("assemblyai/") for name in found["listed"])
    plain, full, streamed, _ = bodies(emulator.urls.llm_us)[before:]
    assert "Hello there." == plain["messages"][0]["content"]
    assert {"type": "ephemeral"} == streamed["messages"][0]["content"][0]["cache_control"]
    assert "unused" == full["transcript_id"]
    assert "low" == full["reasoning_effort"]
    assert "f" == full["tools"][0]["function"]["name"]
    assert [{"model": "gpt-5-mini"}] == full["fallbacks"]


def test_importing_twice_registers_once(emulator: Emulator) -> None:
    script = """
import importlib, json, litellm
import aai_gateway.litellm_models as ours
from litellm.llms.openai.chat.gpt_transformation import OpenAIGPTConfig as C
once = C.remove_cache_control_flag_from_messages_and_tools
importlib.reload(ours)
again = C.remove_cache_control_flag_from_messages_and_tools
others = [{"content": "x", "cache_control": {}}]
stripped = C().remove_cache_control_flag_from_messages_and_tools("gpt-4o", others)
print(json.dumps({"same": once is again, "count": litellm.openai_compatible_providers.count("assemblyai"),
                  "stripped": stripped[0]}))
"""

    found = run(script, key=emulator.config.account_key)

    assert {"same": True, "count": 1, "stripped": [{"content": "x"}]} == found


def test_a_newer_price_book_takes_the_place_of_the_older(emulator: Emulator) -> None:
    script = """
import json, litellm
import aai_gateway.litellm_models as ours
from aai_gateway.core.price_overlays import merge
from aai_gateway.core.price_parsing import parse_overlay
from aai_gateway.price_book import load_price_book
name = "assemblyai/claude-sonnet-4-6"
def cost():
    return litellm.cost_per_token(model=name, prompt_tokens=1_000_000, completion_tokens=0)[0]
line = {"from": "2026-11-01", "input": "4", "output": "15", "source": "a page"}
new = {"context": 9, "regions": ["us"], "surcharge": False, "parameters": [], "prices": [line]}
models = {"claude-sonnet-4-6": {"prices": [line]}, "new-model": new}
book = merge(load_price_book(), parse_overlay({"chat": {"models": models}}))
found = [cost()]
for one in (book, book, None):
    ours.register(one)
    found.append(cost())
listed = "assemblyai/new-model" in litellm.models_by_provider["assemblyai"]
list_price = litellm.model_cost[ours.GLOBAL_PREFIX + "claude-sonnet-4-6"]["input_cost_per_token"]
print(json.dumps({"costs": found, "listed": listed, "list_price": list_price}))
"""

    found = run(script, key=emulator.config.account_key)

    assert pytest.approx([3.3, 4.4, 4.4, 3.3]) == found["costs"]
    assert pytest.approx(3e-6) == found["list_price"]
    assert not found["listed"]
