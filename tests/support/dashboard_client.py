"""A browser without a screen: the dashboard in the test's own process, its forms filled in and sent."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from html.parser import HTMLParser
from typing import Any

import httpx
from opened_gateway import MASTER

from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.dashboard.app import Dashboard


class Forms(HTMLParser):
    """The forms of a page: by their action, the fields as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}
        self._fields: dict[str, str] = {}
        self._select = self._area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        name = of.get("name", "")
        if tag == "form":
            self._fields = self.found.setdefault(of.get("action", ""), {})
        elif tag == "input" and name:
            if of.get("type") not in ("checkbox", "radio") or "checked" in of:
                self._fields[name] = of.get("value", "on" if of.get("type") == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in of or self._select not in self._fields):
            self._fields[self._select] = of.get("value", "")
        elif tag == "textarea":
            self._area, self._fields[name] = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._fields[self._area] = self._fields[self._area].removeprefix("\n")
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self._fields[self._area] += data


def form_of(page: httpx.Response, action: str) -> dict[str, str]:
    """The fields of the one form of a page that is sent to a path that ends so."""
    found = [fields for path, fields in Forms(page.text).found.items() if path.endswith(action)]
    assert 1 == len(found), page.text
    return dict(found[0])


def text_of(page: httpx.Response) -> str:
    """What a page says, in one line."""
    main = page.text.partition("<main")[2].partition("</main>")[0].partition(">")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


@asynccontextmanager
async def browser(
    gateway: Gateway, master_key: Any = lambda: MASTER, root: str = "", **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the dashboard that keeps its cookies; `root` is the root path that it is served below."""

    async def ready() -> Gateway:
        return gateway

    app = Dashboard(ready, master_key)
    transport = httpx.ASGITransport(app, root_path=root, raise_app_exceptions=False)
    base = f"{options.pop('scheme', 'http')}://gateway{root}"
    async with httpx.AsyncClient(transport=transport, base_url=base, **options) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, key: str, **fields: str) -> httpx.Response:
    """Fill in the form of signing in, and send it."""
    form = form_of(await client.get("/dashboard/sign-in"), "/dashboard/sign-in")
    return await client.post("/dashboard/sign-in", data={**form, "key": key, **fields})


async def send(client: httpx.AsyncClient, page: str, action: str = "", **changes: str) -> httpx.Response:
    """Load a page, fill in one of its forms, and send it; to the page's own address unless told."""
    action = action or page
    form = form_of(await client.get(f"/dashboard{page}"), f"/dashboard{action}")
    return await client.post(f"/dashboard{action}", data={**form, **changes})
