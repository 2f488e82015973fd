"""Options that `teams` and `keys` share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Annotated

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError

from aai_gateway.cli.output import parse_usd
from aai_gateway.core.budgets import Budget, parse_duration, require_sound_limits
from aai_gateway.core.limits import LARGEST_LIMIT, NO_LIMITS, Limits
from aai_gateway.errors import ConfigurationError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parse_period(text: str) -> str:
    """A budget's period. Raises BadParameter."""
    try:
        return parse_duration(text)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


Period = Annotated[
    str | None,
    typer.Option(
        "--budget-duration",
        metavar="30d|12h|1mo",
        parser=parse_period,
        help="When the budget starts afresh; never unless given.",
    ),
]

SoftBudget = Annotated[
    int | None,
    typer.Option(
        "--soft-budget",
        metavar="USD",
        parser=parse_usd,
        help="What may be spent before a warning is given, once in each period.",
    ),
]

_SIZE = re.compile(r"[0-9]*\.?[0-9]+ ?[A-Za-z]*")

LIFTED = 0
"""What `none` is read as: a limit is at least 1."""


def parse_limit(text: str) -> int:
    """A limit, or `none` as LIFTED. Raises BadParameter."""
    if text == "none":
        return LIFTED
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= LARGEST_LIMIT:
        raise typer.BadParameter(f"{text!r} is no limit; use a whole number from 1 on, or none.")
    return int(text)


def parse_bytes(text: str) -> int:
    """A limit in bytes, such as `500MB`, `10GB` or `2GiB`, or `none` as LIFTED. Raises BadParameter."""
    if text == "none":
        return LIFTED
    try:
        # ByteSize reads what stands before the first sign that it does not know: 10,000 as 10.
        size = 0 if _SIZE.fullmatch(text) is None else int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        size = 0
    if not 1 <= size <= LARGEST_LIMIT:
        raise typer.BadParameter(f"{text!r} is no size; use for example 500MB, 10GB or none.")
    return size


def model_patterns(given: Iterable[str] | None) -> tuple[str, ...]:
    """The chat models of `--model`. Raises BadParameter for an empty one, which would allow none at all."""
    patterns = tuple(text.strip() for text in given or ())
    if not all(patterns):
        raise typer.BadParameter("--model is empty; leave it out to allow all chat models.")
    return patterns


Rpm = Annotated[
    int | None,
    typer.Option("--rpm", metavar="N|none", parser=parse_limit, help="Requests a minute, polls too."),
]
ConcurrentJobs = Annotated[
    int | None,
    typer.Option("--concurrent-jobs", metavar="N|none", parser=parse_limit, help="Jobs that run at once."),
]
ConcurrentUploads = Annotated[
    int | None,
    typer.Option(
        "--concurrent-uploads", metavar="N|none", parser=parse_limit, help="Uploads under way at once."
    ),
]
UploadBytes = Annotated[
    int | None,
    typer.Option(
        "--upload-bytes-per-day", metavar="10GB|none", parser=parse_bytes, help="Uploaded in a day, UTC."
    ),
]


def limits_with(given: tuple[int | None, ...], limits: Limits = NO_LIMITS) -> Limits:
    """`limits` with those that were given, in the order of `Limits`; LIFTED takes one away."""
    named = zip((field.name for field in fields(Limits)), given, strict=True)
    return replace(limits, **{name: value or None for name, value in named if value is not None})


def checked_budget(budget: Budget) -> Budget:
    """A budget whose limits agree with each other. Raises BadParameter."""
    try:
        require_sound_limits(budget)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--soft-budget") from None
    return budget


def checked_name(name: str, option: str) -> str:
    """A name that tables, logs and refusals can show. Raises BadParameter."""
    if not name.strip() or not name.isprintable() or len(name) > 256:
        raise typer.BadParameter("A name has 1 to 256 printable characters.", param_hint=option)
    return name
