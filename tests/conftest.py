"""Fixtures that every test may use: the emulator as AssemblyAI, and one real gateway in front of it.

Also how the tests are spread over processes: file by file, those that take long first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess, running_gateway
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator
from aai_gateway.settings import get_settings

# LiteLLM would otherwise ask the internet for its prices, at its first import.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
# Nobody here speaks TLS, and to read the machine's certificates takes 50 ms for each `httpx.get`.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull
# Several test processes share the cores: more threads for the embedding model only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What takes long on a busy machine is no fault of the code's.
settings.register_profile(
    "several at once",
    max_examples=int(os.environ.get("AAI_GATEWAY_TEST_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("several at once")

TOGETHER = ("tests/e2e/wire/", "tests/quotes/")
"""Folders that one process runs: what their files share, a gateway or a loaded model, is made once."""

FIRST = ("test_kill.py", "test_demo.py", "test_every_write.py", "test_invoice.py", "test_cli.py")
"""Files of tests/e2e that take the longest; then come the others of it, of other folders, and the core."""


class ByFile(LoadFileScheduling):
    """A process takes a file, or a folder of TOGETHER, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.split("::", 1)[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _turn(item.path))


def _turn(path: Path) -> int:
    if path.name in FIRST and path.parent.name == "e2e":
        return FIRST.index(path.name)
    return len(FIRST) + ("core" in path.parts) + ("e2e" not in path.parts)


@pytest.fixture(autouse=True)
def own_settings() -> None:
    """The settings of another test's environment are no test's."""
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """AssemblyAI, US and EU, as one emulator that all tests share; jobs take 0.2 s."""
    with running_emulator(EmulatorConfig(job_seconds=0.2)) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def gateway(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway process that all tests share; each makes teams of its own with `gateway.team()`."""
    with running_gateway(emulator, tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway
