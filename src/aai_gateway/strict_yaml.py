"""YAML as people write it by hand, without what they would not notice."""

from __future__ import annotations

from typing import Any

import yaml


def load_strictly(text: str) -> Any:
    """The plain values in YAML (or JSON) `text`. Raises yaml.YAMLError, or ValueError for an odd date.

    A key that is written twice is refused: the second would silently replace the first.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply.") from None


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is written twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)
