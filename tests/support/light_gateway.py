"""Gateways as processes that start in a moment and can be killed: a nursery imports everything, and forks.

A light gateway has the real speech routes, webhooks, settler and store, and nothing of LiteLLM's proxy: it
starts in a tenth of a second, and its patience is shorter than the minutes that it has for a real account.
The whole proxy takes about two seconds. Either can be told to kill itself around a write to the store.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

START_SECONDS = 60.0


@dataclass(frozen=True)
class Death:
    """SIGKILL by its own hand right before or right after the commit of a write that changes anything.

    Which one: the Nth of the function `writer`, such as "ledger.settle", or of any when it is None; with a
    `number` of 0 none is. Every such write is noted in the file `log`, a line with its writer.
    """

    log: str
    number: int
    writer: str | None = None
    moment: Literal["before", "after"] = "after"


class Nursery:
    """Starts gateways; its `with` block's end kills those that live. `proxy` prepares for the whole proxy."""

    def __init__(self, log: Path, *, proxy: bool = False) -> None:
        self._log = log
        self._arguments = ["--proxy"] if proxy else []
        self._pids: set[int] = set()

    def __enter__(self) -> Nursery:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve()), *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in list(self._pids):
            self.kill(pid)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(
        self,
        environment: Mapping[str, str],
        port: int,
        death: Death | None = None,
        proxy: Sequence[str] | None = None,
    ) -> int:
        """Fork a gateway with these variables in its environment; its process id. It may not serve yet.

        `proxy` are the arguments of the `litellm` command, for the whole proxy.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        order = {
            "environment": dict(environment),
            "port": port,
            "death": None if death is None else asdict(death),
            "proxy": None if proxy is None else list(proxy),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._pids.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        """SIGKILL, and wait for its end. One that is dead already stays so."""
        self._pids.discard(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            while True:
                os.kill(pid, 0)
                time.sleep(0.002)

    def terminate(self, pid: int) -> None:
        """SIGTERM, and wait for its end."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)
        self._pids.discard(pid)


def is_alive(pid: int) -> bool:
    """Whether a gateway of the nursery's lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_end(pid: int, seconds: float = START_SECONDS) -> None:
    """Wait until a gateway of the nursery's is dead. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} did not end in {seconds} s")
        time.sleep(0.005)


def wait_until_serving(pid: int, port: int, seconds: float = START_SECONDS) -> bool:
    """Whether it came to serve; False when it died before. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        if not is_alive(pid):
            return False
        time.sleep(0.01)
    raise TimeoutError(f"the light gateway did not serve within {seconds} s")


# -- in the processes themselves ---------------------------------------------------------------------------


def _nurse() -> None:
    """Fork a gateway for each order. The processes leave nothing to wait for: the system reaps them."""
    _import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.environ.update(order["environment"])
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            if order["death"] is not None:
                _die_at(Death(**order["death"]))
            if order["proxy"] is not None:
                _serve_proxy(order["port"], order["proxy"])
            else:
                _serve(order["port"])
            os._exit(0)
        print(pid, flush=True)


def _import_everything() -> None:
    for name in (
        "uvicorn.lifespan.on",
        "uvicorn.loops.uvloop",
        "uvicorn.protocols.http.httptools_impl",
        "aai_gateway.gateway.context",
        "aai_gateway.gateway.passthrough",
        "aai_gateway.gateway.webhook_callbacks",
        *(["litellm.proxy.proxy_server", "litellm.proxy.proxy_cli"] if "--proxy" in sys.argv else []),
    ):
        import_module(name)


def _serve_proxy(port: int, arguments: Sequence[str]) -> None:
    import litellm

    litellm.run_server([*arguments, "--host", "127.0.0.1", "--port", str(port)], standalone_mode=False)


def _serve(port: int) -> None:
    import logging

    import uvicorn

    from aai_gateway.core import webhooks
    from aai_gateway.gateway import litellm_host, recovery, rounds, webhook_delivery
    from aai_gateway.gateway.context import Runtime
    from aai_gateway.gateway.passthrough import SpeechRoutes
    from aai_gateway.gateway.webhook_callbacks import WebhookRoutes
    from aai_gateway.gateway.webhook_paths import is_webhook_path
    from aai_gateway.settings import load_settings

    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(message)s")
    logging.getLogger("aai_gateway").setLevel(logging.WARNING)
    # Minutes for a real account; the emulator's jobs take less than a second.
    rounds.LEASE = timedelta(seconds=3)
    recovery.INTENT_GIVE_UP = timedelta(seconds=4)
    webhook_delivery.LEASE = timedelta(seconds=1)
    webhook_delivery.OVERLOOKED_AFTER = timedelta(seconds=2)
    webhooks.FIRST_WAIT = timedelta(seconds=0.1)
    litellm_host.is_master_key = lambda key: False
    runtime = Runtime(load_settings())
    speech, callbacks = SpeechRoutes(runtime.ready), WebhookRoutes(runtime.ready)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await (callbacks if is_webhook_path(scope["path"]) else speech)(scope, receive, send)
            return
        await receive()
        runtime.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await runtime.close()
        await send({"type": "lifespan.shutdown.complete"})

    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
    asyncio.run(uvicorn.Server(config).serve(sockets=[_shared_socket(port)]))


def _shared_socket(port: int) -> socket.socket:
    """A listening address that several gateways have at once, and a next one at once after a death."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(("127.0.0.1", port))
    return listening


def _die_at(death: Death) -> None:
    """Count this process's writes to the store, and end it at the one that was chosen."""
    from aai_gateway.store import Store

    write = Store.write
    count = 0

    @asynccontextmanager
    async def counted(self: Store) -> AsyncIterator[Any]:
        nonlocal count
        writer, chosen = _writer(), False
        async with write(self) as connection:
            before = await _changes(connection)
            yield connection
            if await _changes(connection) > before:
                count += death.writer in (None, writer)
                chosen = count == death.number and death.writer in (None, writer)
                _note(Path(death.log), writer)
            if chosen and death.moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        if chosen:
            os.kill(os.getpid(), signal.SIGKILL)

    Store.write = counted  # type: ignore[method-assign]  # put in its place


def _note(log: Path, line: str) -> None:
    with log.open("a") as opened:
        opened.write(f"{line}\n")


async def _changes(connection: Any) -> int:
    """How many rows this connection has ever changed."""
    return int((await connection.exec_driver_sql("SELECT total_changes()")).scalar())


def _writer() -> str:
    """The function whose `async with` this is."""
    frame: Any = sys._getframe(2)
    while frame.f_code.co_filename.endswith("contextlib.py"):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"


if __name__ == "__main__":
    _nurse()
