"""`python -m pictures [NAME ...]`: a made-up company's dashboard and recording, photographed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from playwright.sync_api import Page

from aai_gateway.gateway.dashboard.paths import PREFIX
from pictures.camera import sign_in, studio
from pictures.hearing import PLAYED_UNTIL, write_report

TO = Path(__file__).resolve().parents[2] / "docs" / "pictures"
WIDTHS = (380, 900, 1400)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PROGRAMS = {"chromium": "chromium", "pngquant": "pngquant", "fc-list": "fontconfig"}


MADE_UP = """() => {
  document.getElementById("secret").textContent = "sk-Gm3pXv0sQ1t7uLw9aZkR2bNcYd5eHf8j";
  for (const code of document.querySelectorAll("pre code"))
    code.textContent = code.textContent.replaceAll(location.origin, "https://gateway.example.com");
}"""
"""A secret that nobody holds, and the same address in each picture."""


FITTING = """limit => {
  const ends = [...document.querySelectorAll("main > *, .rows:not(.grouped) tbody tr, .quotes > li")]
    .map(one => Math.ceil(one.getBoundingClientRect().bottom) + (one.matches("tr, li") ? 1 : 28))
    .filter(end => end <= limit);
  const whole = document.documentElement.scrollHeight;
  return whole <= limit ? whole : Math.max(...ends);
}"""
"""The height at most, in CSS pixels, at which nothing is cut through."""


PLAYED = """second => {
  const player = document.querySelector("audio");
  const told = new Promise(done => player.addEventListener("timeupdate", done, {once: true}));
  player.currentTime = second;
  return told;
}"""
"""The player has come to a place, and the timeline shows it."""


@dataclass(frozen=True)
class Picture:
    """A page, and how much of it is shown at each width at most, in CSS pixels.

    `path` is the page's below the dashboard.
    """

    path: str
    heights: dict[int, int]


PICTURES = {
    "overview": Picture("", {380: 2400, 900: 1800, 1400: 1500}),
    "team": Picture("/teams/newsroom", {380: 2400, 900: 1860, 1400: 1500}),
    "operators": Picture("/operators?window=24h", {380: 2000, 900: 2000, 1400: 1900}),
    "sign-in": Picture("/sign-in", {1400: 560}),
    "new-key": Picture("/keys/new?team=newsroom", {1400: 900}),
    "quotes-report": Picture("", {380: 1400, 1400: 1200}),
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Some of them; all when none is named.")] = None,
) -> None:
    """Take the documentation's pictures of the dashboard and of a report's page, light and dark."""
    wanted = names or list(PICTURES)
    if unknown := set(wanted) - set(PICTURES):
        raise SystemExit(f"{', '.join(sorted(unknown))} is no picture; there are {', '.join(PICTURES)}.")
    if missing := [package for program, package in PROGRAMS.items() if shutil.which(program) is None]:
        raise SystemExit(
            f"{' and '.join(missing)} not found. On Debian: apt-get install {' '.join(missing)} fonts-inter"
        )
    TO.mkdir(exist_ok=True)
    chromium = shutil.which("chromium")
    assert chromium is not None
    with tempfile.TemporaryDirectory() as folder, studio(chromium, Path(folder)) as at:
        for name in wanted:
            for width, height in PICTURES[name].heights.items():
                with at.page(width) as page:
                    show(page, name, Path(folder))
                    take(page, name, width, height)


def take(page: Page, name: str, width: int, height: int) -> None:
    """Take a page's pictures, light and dark, and write them in as few colours as nobody misses."""
    page.evaluate("document.fonts.ready")
    page.set_viewport_size({"width": width, "height": page.evaluate(FITTING, height)})
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        file = TO / f"{name}-{width}-{scheme}.png"
        page.screenshot(path=file)
        pngquant = ["pngquant", "--force", "--speed=1", "--strip", "--output", str(file), "128", str(file)]
        subprocess.run(pngquant, check=True)  # noqa: S603 - our own command
        typer.echo(f"{file.name}: {file.stat().st_size:,} bytes")


def show(page: Page, name: str, folder: Path) -> None:
    """Go to where the picture is; `folder` is for files that it needs."""
    if name == "quotes-report":
        page.goto(write_report(folder).as_uri())
        page.evaluate(PLAYED, PLAYED_UNTIL)
        return
    if name == "sign-in":
        page.goto(f"{PREFIX}/sign-in")
        return
    sign_in(page)
    page.goto(f"{PREFIX}{PICTURES[name].path}")
    if name == "new-key":
        page.get_by_label("Name").fill("newsroom-elections")
        page.get_by_role("button", name="Make the key").click()
        page.evaluate(MADE_UP)


if __name__ == "__main__":
    typer.run(main)
