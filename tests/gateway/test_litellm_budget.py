"""The gateway's budget from its settings or LiteLLM's config, on the installed release."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from gateway_process import CONFIG, GatewayProcess, gateway_process, running_gateway

from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.emulator import Emulator
from aai_gateway.errors import ConfigurationError
from aai_gateway.gateway import litellm_budget
from aai_gateway.gateway.litellm_budget import configured_limits
from aai_gateway.settings import Settings
from aai_gateway.store import Store, gateway_budget

PROBE = """
import litellm
from litellm.proxy import proxy_server
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def theirs(request):
    return PlainTextResponse(str(litellm.max_budget))

proxy_server.app.router.routes.insert(0, Route("/theirs", theirs))
probe = litellm.integrations.custom_logger.CustomLogger()
"""


def configured(monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], **settings: Any) -> Budget:
    monkeypatch.setattr(litellm_budget, "_litellm_settings", lambda: config)
    none = {"max_budget": None, "soft_budget": None, "budget_duration": None}
    return configured_limits(Settings(**{**none, **settings}))


@pytest.mark.parametrize(
    ("config", "settings", "limits"),
    [
        ({}, {}, Budget()),
        ({"max_budget": 100.1, "soft_budget": "80", "budget_duration": "30d"}, {}, (100.1, 80, "30d")),
        ({"max_budget": 0, "budget_duration": ""}, {}, Budget()),
        (
            {"max_budget": 100, "budget_duration": "1d"},
            {"max_budget": Decimal("5.000001")},
            (5.000001, None, "1d"),
        ),
        ({"max_budget": 100}, {"max_budget": Decimal(0)}, (0, None, None)),
        ({"soft_budget": 1}, {"soft_budget": 2, "budget_duration": "1mo"}, (None, 2, "1mo")),
    ],
)
def test_settings_come_before_the_config(monkeypatch, config, settings, limits):
    if isinstance(limits, tuple):
        hard, soft = (None if usd is None else round(usd * 1_000_000) for usd in limits[:2])
        limits = Budget(max_micros=hard, soft_micros=soft, duration=limits[2])

    assert limits == configured(monkeypatch, config, **settings)


@pytest.mark.parametrize(
    ("config", "settings", "text"),
    [
        ({"max_budget": -1}, {}, "max_budget must be an amount in USD"),
        ({"soft_budget": "lots"}, {}, "litellm_settings.soft_budget must be an amount in USD"),
        ({}, {"max_budget": Decimal("1e30")}, "AAI_GATEWAY_MAX_BUDGET must be an amount in USD"),
        ({"budget_duration": "monthly"}, {}, "litellm_settings.budget_duration: 'monthly' is no duration"),
        ({}, {"budget_duration": "soon"}, "AAI_GATEWAY_BUDGET_DURATION: 'soon' is no duration"),
        (
            {"soft_budget": 5},
            {"max_budget": 5},
            r"AAI_GATEWAY_MAX_BUDGET and litellm_settings.soft_budget: .* must be lower than",
        ),
    ],
)
def test_what_cannot_be_used_is_named(monkeypatch, config, settings, text):
    with pytest.raises(ConfigurationError, match=text):
        configured(monkeypatch, config, **settings)


def config_with(folder: Path, **settings: Any) -> tuple[str, str]:
    """Arguments for a gateway whose config names LiteLLM settings, some before the callbacks, some after."""
    config = yaml.safe_load(CONFIG.read_text())
    first, *rest = settings
    ours = config.pop("litellm_settings")
    ours["callbacks"].append("budget_probe.probe")
    config["litellm_settings"] = {
        first: settings[first],
        **ours,
        **{name: settings[name] for name in rest},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "budget_probe.py").write_text(PROBE)
    return "--config", str(folder / "config.yaml")


def stored(gateway: GatewayProcess) -> Budget:
    async def read() -> Budget:
        store = await Store.open(f"sqlite:///{gateway.store_path}")
        try:
            async with store.read() as connection:
                return (await gateway_budget.get(connection))[0]
        finally:
            await store.close()

    return asyncio.run(read())


def test_the_configs_budget_is_the_gateways_and_not_litellms(emulator: Emulator, tmp_path: Path):
    arguments = config_with(
        tmp_path, soft_budget=0.04, max_budget="os.environ/TOTAL_BUDGET", budget_duration="7d"
    )
    with running_gateway(emulator, tmp_path, *arguments, TOTAL_BUDGET="0.1") as gateway:
        team = gateway.team()  # its answer waits for the store, and so for the budget in it
        limits = stored(gateway)
        assert (100_000, 40_000, "7d") == (limits.max_micros, limits.soft_micros, limits.duration)
        assert limits.resets_at is not None
        assert timedelta(days=6) < limits.resets_at - utc_now() <= timedelta(days=7)
        # LiteLLM would count by itself, in each process, and never reset.
        assert "0.0" == httpx.get(f"{gateway.url}/theirs").text
        url = f"{gateway.url}/assemblyai/v2/transcript"
        body = {"audio_url": "https://example.org/audio.wav"}
        answers = [httpx.post(url, headers=team.bearer, json=body) for _ in range(2)]
        # 15 minutes at $0.21 an hour are $0.0525.
        assert [200, 400] == [answer.status_code for answer in answers]
        assert (
            "Budget has been exceeded! The gateway has spent $0.000000 of $0.100000 "
            "and holds $0.052500 for jobs under way. This job is likely to cost $0.052500. It resets at "
        ) in answers[1].json()["error"]
        assert "0.047500" == answers[0].headers["x-aai-gateway-budget-remaining"]


def test_a_budget_that_cannot_be_used_ends_the_start(emulator: Emulator, tmp_path: Path):
    arguments = config_with(tmp_path, telemetry=False, max_budget=1, soft_budget=2)
    gateway = gateway_process(emulator, tmp_path, *arguments)
    with pytest.raises(RuntimeError, match="did not start") as failed:
        gateway.start()

    assert "litellm_settings.max_budget and litellm_settings.soft_budget: The soft budget of $2" in str(
        failed.value
    )
