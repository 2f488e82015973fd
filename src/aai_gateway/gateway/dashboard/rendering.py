"""Pages from templates: amounts, counts and moments as people read them.

What is written here is read without JavaScript: English numbers, UTC. Each stands in an element that carries
its exact value, from which the page's script writes it again in the reader's language and time zone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timezone
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from aai_gateway.core.budgets import MICROS_PER_DOLLAR, usd
from aai_gateway.gateway.dashboard.paths import segment

_PACKAGE = "aai_gateway.gateway.dashboard"
_HASH = re.compile(r"[0-9a-f]{32,}")
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month"}
Shape = Literal["moment", "date", "time"]
_SHAPES: dict[Shape, str] = {"moment": "%d %b %Y, %H:%M", "date": "%d %b %Y", "time": "%H:%M UTC"}
WHOLE_FROM = 10 * MICROS_PER_DOLLAR
"""Micro-dollars from which cents are fine enough; smaller amounts show hundredths of a cent."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """A page of the package."""
    return environment().get_template(template).render(values)


@cache
def environment() -> Environment:
    """The templates, with the filters of this module."""
    made = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {
        "usd": amount,
        "count": count,
        "hours": hours,
        "length_of": length,
        "when": when,
        "day": day_name,
        "month": month_name,
        "percent": percent,
        "duration": duration_name,
        "bytes": size,
        "lag": lag,
        "shortened": shortened,
        "segment": segment,
    }
    made.globals |= {"static": static_name, "digits_of": digits_of}
    return made


@cache
def static_bytes(name: str) -> bytes:
    """A file of the package that pages refer to. Raises FileNotFoundError."""
    return (files(_PACKAGE) / "static" / name).read_bytes()


@cache
def static_name(name: str) -> str:
    """A static file's name with a hash of its content, so that it may be kept for ever."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(static_bytes(name)).hexdigest()[:12]}.{suffix}"


def address(query: Iterable[tuple[str, str]]) -> str:
    """The query of an address of the same page; `?` alone for none."""
    return f"?{urlencode(list(query))}"


def _safe(text: str) -> Markup:
    """Markup of numbers, dates and our own words: a page has hundreds, and `Markup.format` takes its time."""
    return Markup(text)  # noqa: S704 - nothing in it is anybody's text


def digits_of(largest: int) -> int:
    """Decimals for amounts that stand under each other and are this large together."""
    return 2 if abs(largest) >= WHOLE_FROM else 4


def amount(micros: int | None, digits: int | None = None) -> Markup:
    """Micro-dollars as `$1,234.56`; smaller sums with four decimals, the exact one on hover."""
    if micros is None:
        return Markup('<span class="none">–</span>')
    digits = digits if digits is not None else (digits_of(micros) if micros else 2)
    sign = "−" if micros < 0 else ""
    text, exact = f"{sign}${abs(micros) / MICROS_PER_DOLLAR:,.{digits}f}", usd(micros)
    return _safe(f'<data class="usd" value="{exact}" data-digits="{digits}" title="${exact}">{text}</data>')


def count(number: int | None) -> Markup:
    """A whole number with its thousands apart."""
    if number is None:
        return Markup('<span class="none">–</span>')
    return _safe(f'<data class="count" value="{number:d}">{number:,}</data>')


def hours(seconds: int) -> Markup:
    """Seconds of audio as hours with one decimal, fewer than an hour as minutes."""
    value, unit = (seconds / 3600, "h") if seconds >= 3600 else (seconds / 60, "min")
    return _safe(f'<data class="audio" value="{seconds:d}" title="{seconds:,} s">{value:,.1f} {unit}</data>')


def length(seconds: int) -> Markup:
    """The length of one recording, `1:02:03`."""
    minutes, rest = divmod(seconds, 60)
    whole, minutes = divmod(minutes, 60)
    text = f"{whole}:{minutes:02}:{rest:02}" if whole else f"{minutes}:{rest:02}"
    return _safe(f'<data class="length" value="{seconds:d}" title="{seconds:,} s">{text}</data>')


def size(number: int) -> Markup:
    """Bytes in the unit that makes them short; a megabyte is a million."""
    value, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    text = f"{number:,} B" if unit == "B" else f"{value:,.1f} {unit}"
    return Markup('<data class="bytes" value="{}" title="{} bytes">{}</data>').format(
        number, f"{number:,}", text
    )


def lag(seconds: int) -> Markup:
    """How long something is ago, in its largest unit."""
    for unit, length_ in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_:
            text = f"{seconds // length_:,} {unit}"
            break
    else:
        text = f"{seconds} s"
    return Markup('<data class="lag" value="{}" title="{} s">{}</data>').format(seconds, f"{seconds:,}", text)


def shortened(text: str) -> Markup:
    """Text with the hashes in it cut to eight digits, whole on hover."""
    short = _HASH.sub(lambda match: f"{match[0][:8]}…", text)
    return Markup('<span title="{}">{}</span>').format(text, short) if short != text else escape(text)


def when(moment: datetime | None, shape: Shape = "moment") -> Markup:
    """A moment, UTC on hover; `shape` is `date` for its day alone, `time` for its time of day."""
    if moment is None:
        return Markup('<span class="none">–</span>')
    utc = moment.astimezone(timezone.utc)
    text = f"{utc:{_SHAPES[shape]}}"
    return _safe(
        f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}" data-shape="{shape}" '
        f'title="{utc:%Y-%m-%d %H:%M:%S} UTC">{text}</time>'
    )


def day_name(day: str | date) -> Markup:
    """A UTC day, `26 Nov`; it is no moment and is not moved to another zone."""
    found = date.fromisoformat(day) if isinstance(day, str) else day
    text = f"{found.day} {found:%b}"
    return _safe(f'<time datetime="{found}" data-shape="day" title="{found} UTC">{text}</time>')


def month_name(month: str) -> str:
    """`2026-11` as `November 2026`."""
    return f"{date.fromisoformat(f'{month}-01'):%B %Y}"


def percent(part: int, whole: int) -> str:
    """A share of a whole, `12 %`; what is not nothing is not called so, and nothing of nothing is nothing."""
    if 0 < 100 * part < whole:
        return "< 1 %"
    return f"{round(100 * part / whole)} %" if whole else "0 %"


def duration_name(duration: str) -> str:
    """A budget's period after "per": `1mo` as `month`, `30d` as `30 days`."""
    number, unit = int(duration.rstrip("smhdwo")), _UNITS[duration.lstrip("0123456789")]
    return unit if number == 1 else f"{number:,} {unit}s"
