"""`aai-gateway`'s client commands as processes, as a team's member types them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gateway_process import GatewayProcess

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def commands(gateway: GatewayProcess, folder: Path) -> Cli:
    """What runs a command with a new team's key; its data directory is `folder`.

    It takes the arguments, the exit `status` that is expected, and environment variables in capitals.
    """
    environment = {
        **os.environ,
        "AAI_GATEWAY_URL": gateway.url,
        "AAI_GATEWAY_KEY": gateway.team().key,
        "AAI_GATEWAY_DATA_DIR": str(folder),
    }

    def run(*arguments: str, status: int = 0, **overrides: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("aai-gateway")), *arguments]
        done = subprocess.run(
            command, env={**environment, **overrides}, capture_output=True, text=True, timeout=300
        )
        assert status == done.returncode, done.stderr
        return done

    return run
