"""Hundreds of requests broken at the byte level: each ends, in no server error and nobody's secret."""

from __future__ import annotations

import asyncio

import httpx
from gateway_process import GatewayProcess
from wire_fuzz import Scene, broken, send_all

COUNT = 400


def test_broken_requests(gateway: GatewayProcess):
    scene = Scene.of(gateway)
    report = asyncio.run(send_all(scene, broken(scene, COUNT, seed=20261121)))
    print(dict(sorted(report.statuses.items())))
    assert [] == report.wrongs
    assert COUNT <= sum(report.statuses.values())
    assert {200, 400, 404, 405} <= report.statuses.keys()
    url = f"{gateway.url}/assemblyai/v2/transcript/{scene.victims_id}"
    kept = httpx.get(url, headers=scene.victim.bearer, timeout=60)
    assert (200, f"https://example.org/{scene.marker}.wav") == (kept.status_code, kept.json()["audio_url"])
