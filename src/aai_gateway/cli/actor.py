"""Who runs a command, and where: what the audit log says of it."""

from __future__ import annotations

import os
import pwd
import socket
import sys
from contextlib import suppress

from aai_gateway.core.auditing import Actor


def command_actor() -> Actor:
    """The user of this process, by the system's word and not the environment's; machine and terminal.

    Under sudo the environment says for whom, which is told as the source.
    """
    user = os.getuid()
    name = str(user)
    # In a container a user need not have a name.
    with suppress(KeyError):
        name = pwd.getpwuid(user).pw_name
    source = socket.gethostname()
    if (terminal := _terminal()) is not None:
        source += f" {terminal}"
    if (asked_by := os.environ.get("SUDO_USER")) is not None:
        source += f" (sudo by {asked_by})"
    return Actor(f"cli:{name}", source)


def _terminal() -> str | None:
    for stream in (sys.__stdin__, sys.__stderr__, sys.__stdout__):
        with suppress(OSError, ValueError, AttributeError):
            return os.ttyname(stream.fileno()).removeprefix("/dev/")  # type: ignore[union-attr]  # AttributeError
    return None
