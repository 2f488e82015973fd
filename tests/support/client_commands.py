"""`aai-gateway`'s client commands as processes, as a team's member types them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gateway_process import GatewayProcess

COMMAND = (str(Path(sys.executable).with_name("aai-gateway")),)
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def environment_for(gateway: GatewayProcess, folder: Path) -> dict[str, str]:
    """The environment of commands with a new team's key; their data directory is `folder`."""
    return {
        **os.environ,
        "AAI_GATEWAY_URL": gateway.url,
        "AAI_GATEWAY_KEY": gateway.team().key,
        "AAI_GATEWAY_DATA_DIR": str(folder),
    }


def started(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """A command that runs, its output as it comes."""
    return subprocess.Popen(
        [*COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def commands(gateway: GatewayProcess, folder: Path) -> Cli:
    """What runs a command in `environment_for` these.

    It takes the arguments, the exit `status` that is expected, and environment variables in capitals.
    """
    return commands_in(environment_for(gateway, folder))


def commands_in(environment: dict[str, str]) -> Cli:
    """What runs a command in an environment; see `commands`."""

    def run(*arguments: str, status: int = 0, **overrides: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={**environment, **overrides},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert status == done.returncode, done.stderr
        return done

    return run
