"""A short run of `scripts/fuzz isolation`: random requests of many keys, each judged by a second opinion."""

from __future__ import annotations

from fuzzing.isolation_run import fuzz
from gateway_process import GatewayProcess


def test_nobody_gets_what_is_another_s(gateway: GatewayProcess):
    told = fuzz(gateway, requests=700, teams=4, seed=4)

    assert {} == told.wrongs
    assert 700 < sum(told.requests.values())
