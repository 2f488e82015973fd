"""Programs that pip does not have: found on the machine, or installed where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

_ALL_SECONDS = 300


def require(program: str, package: str | None = None) -> str:
    """The path of a program of Debian's `package`, which has its name unless told otherwise.

    Root on a machine with apt-get gets it installed, once however many tests and processes ask. Skips the
    test where it cannot be had.
    """
    package = package or program
    if found := shutil.which(program):
        return found
    folder = Path(tempfile.gettempdir()) / f"aai-gateway-packages-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with FileLock(folder / "lock"):
        if found := shutil.which(program):
            return found
        why = _install(package, folder / f"{package}.{_run()}.failed")
    if found := shutil.which(program):
        return found
    pytest.skip(f"{program} is not here ({why}); on Debian and Ubuntu: apt-get install {package}")


def _run() -> str:
    """What all processes of a test run have in common."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())


def _install(package: str, failed: Path) -> str:
    """Why it could not be installed; what failed once in a run is not tried again in it."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return "only root can install it, with apt-get"
    if failed.exists():
        return failed.read_text()
    patience = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20")
    # Its services are not to be started: an invoke-rc.d that finds the machine in this runlevel starts none.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    why = "apt-get install did nothing"
    for command in (("update",), ("install", "--yes", "--no-install-recommends", package)):
        try:
            subprocess.run(
                ["apt-get", *patience, "-qq", *command],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
                timeout=_ALL_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            why = f"apt-get {command[0]}: {error.stderr.strip().splitlines()[-1:] or error.returncode}"
        except subprocess.TimeoutExpired:
            why = f"apt-get {command[0]} took more than {_ALL_SECONDS} s"
    failed.write_text(why)
    return why
