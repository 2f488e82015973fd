"""The dashboard served in this process, and a browser that takes pictures of its pages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from opened_gateway import MASTER, TEAM, opened_gateway
from playwright.sync_api import Browser, Page, sync_playwright

from aai_gateway.emulator import Emulator
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.dashboard.app import Dashboard
from aai_gateway.gateway.dashboard.paths import PREFIX
from aai_gateway.store import teams
from pictures import NOW
from pictures.books import fill

FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--font-render-hinting=none"),
)


@dataclass(frozen=True)
class Studio:
    """A browser, and where the dashboard is."""

    browser: Browser
    url: str

    @contextlib.contextmanager
    def page(self, width: int) -> Iterator[Page]:
        """An empty page of a browser whose clock stands still, somewhere on the UTC meridian."""
        context = self.browser.new_context(
            base_url=self.url,
            viewport={"width": width, "height": 900},
            locale="en-US",
            timezone_id="UTC",
            reduced_motion="reduce",
        )
        with contextlib.closing(context):
            page = context.new_page()
            page.clock.set_fixed_time(NOW)
            yield page


def sign_in(page: Page) -> None:
    """Sign in with the master key."""
    page.goto(f"{PREFIX}/sign-in")
    page.get_by_label("Key").fill(MASTER)
    page.get_by_role("button", name="Sign in").click()


@contextlib.contextmanager
def studio(chromium: str, folder: Path) -> Iterator[Studio]:
    """The company's dashboard and a browser in front of it."""
    with _serving(folder) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, chromium_sandbox=False)
        with contextlib.closing(browser):
            yield Studio(browser, url)


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[str]:
    """The dashboard's URL; it is filled before, and serves from a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(folder, listener)
    server.start()
    server.wait_until_ready()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()


class _Server(threading.Thread):
    """The company's gateway, without LiteLLM."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._listener = listener
        self._server: uvicorn.Server | None = None

    def wait_until_ready(self) -> None:
        """Return once pages are served. Raises RuntimeError when none will be."""
        while self._server is None or not self._server.started:
            if not self.is_alive():
                raise RuntimeError("The dashboard did not start; what went wrong stands above.")
            time.sleep(0.1)

    def run(self) -> None:
        """Fill a store and serve its pages until `stop`."""
        asyncio.run(self._serve())

    def stop(self) -> None:
        """Serve no longer."""
        if self._server is not None:
            self._server.should_exit = True
        self.join()

    async def _serve(self) -> None:
        async with Emulator() as emulator, opened_gateway(emulator, self._folder) as gateway:
            async with gateway.store.write() as connection:
                await teams.delete(connection, TEAM)
            await fill(gateway.store)

            async def ready() -> Gateway:
                return gateway

            dashboard = Dashboard(ready, lambda: MASTER)
            self._server = uvicorn.Server(uvicorn.Config(dashboard, log_level="error", lifespan="off"))
            with contextlib.suppress(asyncio.CancelledError):
                await self._server.serve(sockets=[self._listener])
