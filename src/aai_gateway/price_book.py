"""Reads the price book that comes with the package, and others of its shape."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import yaml

from aai_gateway.core.price_book import PriceBook
from aai_gateway.core.price_parsing import parse_price_book
from aai_gateway.errors import PriceError
from aai_gateway.strict_yaml import load_strictly

_FILE = "price_book.yaml"


@lru_cache(maxsize=1)
def load_price_book() -> PriceBook:
    """The package's price book, read once. Raises PriceError naming the file and the line or key."""
    try:
        text = files("aai_gateway").joinpath(_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise PriceError(f"{_FILE} cannot be read: {error.strerror}. Reinstall aai-gateway.") from error
    return read_price_book(text)


def read_price_book(text: str) -> PriceBook:
    """The price book in YAML `text`. Raises PriceError naming the file and the line or key."""
    try:
        return parse_price_book(read_yaml(text))
    except PriceError as error:
        raise PriceError(f"{_FILE}: {error}") from None


def read_yaml(text: str) -> object:
    """The plain values in YAML (or JSON) `text`. Raises PriceError naming the line."""
    try:
        return load_strictly(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise PriceError(f"line {line}: {error.problem}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise PriceError(str(error)) from error
