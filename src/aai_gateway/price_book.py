"""Reads the price book that comes with the package, and others of its shape."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import yaml

from aai_gateway.core.price_book import PriceBook
from aai_gateway.core.price_parsing import parse_price_book
from aai_gateway.errors import PriceError

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
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise PriceError(f"line {line}: {error.problem}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise PriceError(str(error)) from error


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key written twice: the second would silently replace a price."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is written twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)
