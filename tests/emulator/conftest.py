"""A running emulator whose jobs are done at once, and a plain HTTP client of its US region."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running_emulator(EmulatorConfig(job_seconds=0)) as running:
        yield running


@pytest.fixture
def us(emulator: Emulator) -> Iterator[httpx.Client]:
    headers = {"Authorization": emulator.config.account_key}
    with httpx.Client(base_url=emulator.urls.us, headers=headers) as client:
        yield client
