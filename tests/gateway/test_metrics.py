"""`/metrics`: exact, the same from every worker, bounded in its labels, for the master key alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
import yaml
from gateway_process import CONFIG, GatewayProcess, running_gateway
from pydantic import ValidationError
from scrapes import samples
from waiting import until

from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator
from aai_gateway.gateway import metrics
from aai_gateway.gateway.metrics import Metrics
from aai_gateway.settings import Settings
from aai_gateway.store import Store, usage
from aai_gateway.store.usage import UsageRow


async def test_the_store_is_asked_once_in_five_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    pages = Metrics()
    first = await asyncio.gather(*(pages.page(store) for _ in range(5)))
    async with store.write() as connection:
        await usage.record(connection, UsageRow("chat", "c", Region.US, "master", 5))
    assert {*first} == {await pages.page(store)}
    monkeypatch.setattr(pages, "_until", 0.0)
    later = await pages.page(store)
    await store.close()

    assert 0.000005 == samples(later)["spend_usd_total", "", "chat", "us"]


def test_a_token_is_long_or_there_is_none():
    assert metrics.is_metrics_token(
        "sixteen-letters!", Settings(metrics_token="sixteen-letters!").metrics_token
    )
    for unset in (None, "", " "):
        token = Settings(metrics_token=unset).metrics_token
        assert (None, False) == (token, metrics.is_metrics_token("", token))
    with pytest.raises(ValidationError, match="16 characters") as refused:
        Settings(metrics_token="fifteen-letters")
    assert "fifteen" not in str(refused.value)


def test_a_token_of_its_own_opens_it_and_nothing_else(gateway: GatewayProcess):
    token = {"Authorization": f"Bearer {gateway.environment['AAI_GATEWAY_METRICS_TOKEN']}"}
    opened = httpx.get(f"{gateway.url}{metrics.PATH}", headers=token)
    assert (200, metrics.CONTENT_TYPE) == (opened.status_code, opened.headers["content-type"])
    for path in ("/key/list", "/team/list", "/audit", "/metrics/", "/v1/models", "/assemblyai/v2/transcript"):
        assert 401 == httpx.get(f"{gateway.url}{path}", headers=token).status_code, path


def test_it_is_for_the_master_key(gateway: GatewayProcess):
    team = gateway.team()
    url = f"{gateway.url}{metrics.PATH}"
    for headers, status in (({}, 401), ({"Authorization": "Bearer sk-wrong"}, 401), (team.bearer, 403)):
        refused = httpx.get(url, headers=headers)
        assert (status, "auth_error") == (refused.status_code, refused.json()["error"]["type"])
    with gateway.admin() as admin:
        answer = admin.get(metrics.PATH)
        assert (200, metrics.CONTENT_TYPE) == (answer.status_code, answer.headers["content-type"])
        assert 405 == admin.post(metrics.PATH).status_code
        # A process gives the same answer for some seconds.
        text = until(lambda: text if team.alias in (text := admin.get(metrics.PATH).text) else None)
    assert ("held_usd", team.alias) in samples(text)
    assert team.key not in text and team.id not in text


def test_litellms_own_metrics_stay_beside_it(emulator: Emulator, tmp_path: Path):
    config = yaml.safe_load(CONFIG.read_text())
    config["litellm_settings"]["callbacks"].append("prometheus")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with running_gateway(emulator, tmp_path, "--config", str(tmp_path / "config.yaml")) as gateway:
        with gateway.admin() as admin:
            ours, theirs = admin.get("/metrics").text, admin.get("/metrics/").text
        assert ("aai_gateway_" in ours, "litellm_" in ours) == (True, False)
        assert ("aai_gateway_" in theirs, "litellm_" in theirs) == (False, True)
        assert 401 == httpx.get(f"{gateway.url}/metrics/").status_code
