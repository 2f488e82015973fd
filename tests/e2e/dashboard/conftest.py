"""A gateway of its own for what a browser looks at: its pages are about this work and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from browsing import Visit, Visiting, started_browser, visiting
from dashboard_work import FAST, Work, do_work
from gateway_process import GatewayProcess, running_gateway
from playwright.sync_api import Browser

from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(EmulatorConfig(job_seconds=0.1)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running_gateway(emulator, tmp_path_factory.mktemp("dashboard"), **FAST) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def work(gateway: GatewayProcess, emulator: Emulator) -> Work:
    return do_work(gateway, emulator)


# For a module alone: while it lives, this thread has an event loop, and async tests could not run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, gateway: GatewayProcess, emulator: Emulator) -> Visiting:
    """Opens a window; when it is closed, neither key of who runs the gateway was in an address or a page."""

    @contextmanager
    def open_window(**options: Any) -> Iterator[Visit]:
        with visiting(browser, gateway.url, **options) as visit:
            yield visit
        for secret in (gateway.master_key, emulator.config.account_key):
            assert not any(secret in url for url in visit.asked)
            assert not any(secret in text for _, text in visit.documents)

    return open_window


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def scripts(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)
