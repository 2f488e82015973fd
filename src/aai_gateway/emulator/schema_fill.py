"""JSON that conforms to a simple JSON schema, filled with passages: structured answers, tool arguments.

Understands objects, arrays, strings, numbers, integers, booleans, null, enum, const, anyOf, oneOf, $ref and
the bounds minItems, maxItems, maxLength, minimum and maximum; the rest of JSON Schema is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aai_gateway.emulator.passages import Passage
from aai_gateway.emulator.topics import rank_topics

Schema = Mapping[str, Any]

_SUMMARY_FIELDS = re.compile(r"summary|overview|gist|abstract|answer|takeaway", re.IGNORECASE)
_TOPIC_FIELDS = re.compile(r"topic|tag|category|label", re.IGNORECASE)
_TITLE_FIELDS = re.compile(r"title|headline", re.IGNORECASE)
_SHARE_FIELDS = re.compile(r"confidence|score|relevance|probability", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Filling:
    """What a schema is filled from: passages chosen for the task, how many are wanted, and the whole text."""

    chosen: Sequence[Passage]
    count: int
    text: str
    topic: str | None = None


def fill(schema: Schema, filling: Filling, name: str = "", passage: Passage | None = None) -> Any:
    """A value for `schema`. `name` is the property it belongs to, `passage` the array item it is part of."""
    schema = _resolved(schema, schema)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return _label(schema["enum"], filling, passage)
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, filling, passage)
    if kind == "array":
        return _array(schema, filling, name)
    if kind in ("number", "integer"):
        return _number(schema, filling, name, passage, whole=kind == "integer")
    if kind == "string":
        return _string(name, filling, passage)[: schema.get("maxLength")]
    return kind == "boolean" or None


def schema_of(example: Any) -> dict[str, Any]:
    """The schema that an example value stands for, as in a prompt that shows the JSON it wants."""
    if isinstance(example, dict):
        return {"type": "object", "properties": {name: schema_of(value) for name, value in example.items()}}
    if isinstance(example, list):
        return {"type": "array", "items": schema_of(example[0] if example else "")}
    kinds: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"type": kinds.get(type(example), "null")}


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema behind `$ref` and unions; definitions travel along so that nested references resolve."""
    definitions = root.get("$defs") or root.get("definitions") or {}
    while "$ref" in schema:
        schema = definitions[str(schema["$ref"]).rsplit("/", 1)[-1]]
    for union in ("anyOf", "oneOf", "allOf"):
        options = [option for option in schema.get(union) or [] if option.get("type") != "null"]
        if options:
            return _resolved({"$defs": definitions, **options[0]}, root)
    return {"$defs": definitions, **schema}


def _kind(schema: Schema) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        return next((str(option) for option in kind if option != "null"), "null")
    return str(kind)


def _object(schema: Schema, filling: Filling, passage: Passage | None) -> dict[str, Any]:
    """Every property. Outside an array, each text property speaks of the next passage."""
    filled = {}
    for place, (name, part) in enumerate((schema.get("properties") or {}).items()):
        own = passage or (filling.chosen[place % len(filling.chosen)] if filling.chosen else None)
        filled[name] = fill({"$defs": schema["$defs"], **part}, filling, name, own)
    return filled


def _array(schema: Schema, filling: Filling, name: str) -> list[Any]:
    items = {"$defs": schema["$defs"], **schema.get("items", {})}
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    options = _resolved(items, items).get("enum")
    if options:
        return _labels(options, filling)[:most] or options[:1]
    wanted = max(least, min(filling.count, len(filling.chosen)))
    wanted = wanted if most is None else min(wanted, most)
    if not filling.chosen:
        return [fill(items, filling, name) for _ in range(least)]
    return [
        fill(items, filling, name, filling.chosen[place % len(filling.chosen)]) for place in range(wanted)
    ]


def _label(options: Sequence[Any], filling: Filling, passage: Passage | None) -> Any:
    """The option that the topic list chose, else the one closest to what was said, else the first."""
    if filling.topic in options:
        return filling.topic
    names = {str(option): option for option in options}
    best, _ = rank_topics(dict.fromkeys(names, ""), passage.text if passage else filling.text)[0]
    return names[best]


def _labels(options: Sequence[Any], filling: Filling) -> list[Any]:
    names = {str(option): option for option in options}
    ranked = rank_topics(dict.fromkeys(names, ""), filling.text)
    return [names[name] for name, score in ranked if score][: filling.count]


def _string(name: str, filling: Filling, passage: Passage | None) -> str:
    if name.lower() == "speaker":
        return (passage.speaker if passage else None) or "unknown"
    if _TOPIC_FIELDS.search(name) and filling.topic:
        return filling.topic
    if _SUMMARY_FIELDS.search(name):
        return " ".join(passage.text for passage in filling.chosen)
    text = passage.text if passage else filling.text
    return " ".join(text.split()[:8]) if _TITLE_FIELDS.search(name) else text


def _number(
    schema: Schema, filling: Filling, name: str, passage: Passage | None, *, whole: bool
) -> int | float:
    """The first number said that the bounds allow, else the bound nearest to 0; a share is certain."""
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", 0)), schema.get("maximum", float("inf"))
    if _SHARE_FIELDS.search(name) and not whole:
        return float(min(1, high))
    said = re.findall(r"\d+(?:\.\d+)?", passage.text if passage else filling.text)
    fitting = (float(number) for number in said if low <= float(number) <= high)
    number = next((number for number in fitting if not whole or number.is_integer()), max(low, min(0, high)))
    return int(number) if whole else float(number)
