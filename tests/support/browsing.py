"""A real browser in front of a gateway's dashboard, watched: what it asks for, what it complains of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from figures_on_page import FiguresOnPage
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
    sync_playwright,
)
from system_packages import require

FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
SECONDS = 60
"""How long the browser is waited for; it shares the machine with other tests."""


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Debian's Chromium. Skips the test where it is not and cannot be installed."""
    chromium = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=FLAGS, chromium_sandbox=False, timeout=SECONDS * 1000
        )
        with closing(browser):
            yield browser


@dataclass
class Visit:
    """One browser window of one person. `documents` are the pages that came, with where from."""

    context: BrowserContext
    page: Page
    url: str
    asked: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    documents: list[tuple[str, str]] = field(default_factory=list)

    def go(self, path: str = "") -> Response:
        """Go to a page of the dashboard, by its path below it."""
        response = self.page.goto(f"{self.url}/dashboard{path}")
        assert response is not None
        return response

    def sign_in(self, key: str, path: str = "") -> None:
        """Go to a page as nobody yet, fill in the form that comes, and see the page."""
        self.go(path)
        self.page.get_by_label("Key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.locator(".signout").wait_for()

    def figures(self) -> FiguresOnPage:
        """The figures of the page."""
        return FiguresOnPage(self.page.content())

    @property
    def path(self) -> str:
        """Where it is, below the dashboard, with the query."""
        parts = urlsplit(self.page.url)
        return parts.path.removeprefix("/dashboard") + (f"?{parts.query}" if parts.query else "")

    @property
    def text(self) -> str:
        """What the page says, in one line."""
        return " ".join(self.page.locator("main").inner_text().split())


Visiting = Callable[..., AbstractContextManager[Visit]]
"""Opens a window; the options are `scripts` and those of a browser's context."""


@contextmanager
def visiting(browser: Browser, url: str, *, scripts: bool = True, **options: Any) -> Iterator[Visit]:
    """A window with a profile of its own. When it is closed, nothing may have been amiss on the way:
    nothing asked of another host, no error on the console, none against the content security policy.
    """
    context = browser.new_context(java_script_enabled=scripts, **options)
    context.set_default_timeout(SECONDS * 1000)
    with closing(context):
        page = context.new_page()
        visit = Visit(context, page, url)
        pages_asked: set[str] = set()

        def on_request(request: Request) -> None:
            visit.asked.append(request.url)
            if request.is_navigation_request():
                pages_asked.add(request.url)

        def on_console(message: ConsoleMessage) -> None:
            is_status = message.text.startswith("Failed to load resource: the server responded with a status")
            # A page that tells of a trouble comes with its status, which Chromium notes.
            if message.type in ("error", "warning") and not (
                is_status and message.location["url"] in pages_asked
            ):
                visit.troubles.append(f"{message.type}: {message.text} at {message.location}")

        def on_loaded(loaded: Page) -> None:
            # One that leads on at once is gone before it can be read.
            with suppress(Error):
                visit.documents.append((loaded.url, loaded.content()))

        context.on("request", on_request)
        context.on("console", on_console)
        context.on("weberror", lambda error: visit.troubles.append(f"script: {error.error}"))
        page.on("domcontentloaded", on_loaded)
        yield visit
    assert [] == visit.troubles
    assert {urlsplit(url).netloc} == {
        urlsplit(asked).netloc for asked in visit.asked if not asked.startswith("data:")
    }
