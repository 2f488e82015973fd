"""Fixtures that every test may use: the emulator as AssemblyAI, and one real gateway in front of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from gateway_process import GatewayProcess, running_gateway
from hypothesis import HealthCheck, settings

from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator

# LiteLLM would otherwise ask the internet for its prices, at its first import.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
# Nobody here speaks TLS, and to read the machine's certificates takes 50 ms for each `httpx.get`.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull


# What takes long on a busy machine is no fault of the code's.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


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
