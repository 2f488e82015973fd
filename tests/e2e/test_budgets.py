"""A soft budget through the real proxy: charged, told once by webhook, warned of, kept over a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web
from gateway_process import running_gateway
from recording_upstream import BODY, answering, recording_upstream
from waiting import until

from aai_gateway.emulator import Emulator

SUBMIT = "/assemblyai/v2/transcript"
JOB = {"audio_url": "https://example.org/audio.wav"}
SOON = {"AAI_GATEWAY_SETTLE_AFTER": "0.5", "AAI_GATEWAY_SETTLE_INTERVAL": "0.2"}
WORKERS = ("--timeout_worker_healthcheck", "60", "--num_workers", "2")


def test_a_soft_budget_is_told_once_and_warned_of_from_then_on(emulator: Emulator, tmp_path: Path):
    with recording_upstream() as receiver:
        told: list[dict[str, Any]] = []
        taken = answering({})

        async def answer(request: web.Request) -> web.StreamResponse:
            told.append(json.loads(request[BODY]))
            return await taken(request)

        receiver.answer = answer
        hook = {"AAI_GATEWAY_BUDGET_WEBHOOK": f"{receiver.url}/budgets?token=s3cret"}
        with running_gateway(emulator, tmp_path, *WORKERS, **hook, **SOON) as gateway:
            team = gateway.team(max_budget=5, soft_budget=0.000001, budget_duration="1mo")

            first = httpx.post(gateway.url + SUBMIT, headers=team.bearer, json=JOB)
            until(lambda: told)
            gateway.kill()
            gateway.start()
            second = httpx.post(gateway.url + SUBMIT, headers=team.bearer, json=JOB)

            [event] = told
            assert ("soft_budget_crossed", "team", team.id, team.alias) == tuple(
                event[name] for name in ("event", "event_group", "team_id", "team_alias")
            )
            assert ["/budgets?token=s3cret"] == [request.path for request in receiver.requests]
            warning = "x-aai-gateway-budget-warning"
            assert warning not in first.headers
            assert f"Team {team.alias} has spent ${event['spend']:.6f}, past" in second.headers[warning]
            left = 5 - event["spend"] - float(second.headers["x-aai-gateway-held-cost"])
            assert f"{left:.6f}" == second.headers["x-aai-gateway-budget-remaining"]
            assert "s3cret" not in gateway.log.read_text()
            gateway.stop()
            assert "Traceback" not in gateway.log.read_text()
