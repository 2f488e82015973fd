"""Numbers in words read as digits: "two hundred and five", "nineteen eighty-four", "$5 million". Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_SMALL = {
    name: value
    for value, name in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    name: 10 * value
    for value, name in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_IRREGULAR = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fifth": 5,
    "eighth": 8,
    "ninth": 9,
    "twelfth": 12,
}
_ORDINALS = (
    {f"{name}th": value for name, value in _SMALL.items() if value > 3}
    | {f"{name[:-1]}ieth": value for name, value in _TENS.items()}
    | _IRREGULAR
)
_CENTURIES = range(17, 22)
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound"}


class Piece(NamedTuple):
    """A part of a word, and the word's number."""

    text: str
    word: int


class _Number(NamedTuple):
    text: str
    after: int
    """The place of the piece after it."""


def numbers_joined(pieces: Sequence[Piece]) -> list[tuple[str, int, int]]:
    """(text, first word, last word) of each token: numbers as digits, a currency after its amount."""
    found: list[tuple[str, int, int]] = []
    place = 0
    while place < len(pieces):
        text, word = pieces[place]
        if text in _CURRENCIES:
            number = _number(pieces, place + 1)
            if number is not None:
                last = pieces[number.after - 1].word
                found += [(number.text, word, last), (_CURRENCIES[text], word, last)]
                place = number.after
            else:
                found.append((_CURRENCIES[text], word, word))
                place += 1
            continue
        number = _number(pieces, place)
        if number is not None:
            found.append((number.text, word, pieces[number.after - 1].word))
            place = number.after
        elif text == "per" and _text(pieces, place + 1) == "cent":
            found.append(("percent", word, pieces[place + 1].word))
            place += 2
        else:
            found.append((text, word, word))
            place += 1
    return found


def _number(pieces: Sequence[Piece], place: int) -> _Number | None:
    """The number that begins at a place, the longest there is; None where none does."""
    text = _text(pieces, place)
    if text[:1].isdigit():
        return _scaled_digits(pieces, place)
    if text == "a" and _text(pieces, place + 1) in {"hundred", *_SCALES}:
        return _in_words(pieces, place + 1, given=1)
    if text in _SMALL or text in _TENS or text in _ORDINALS:
        return _in_words(pieces, place)
    return None


def _scaled_digits(pieces: Sequence[Piece], place: int) -> _Number:
    """Digits, and a scale after them: "1.5 million"."""
    text = _text(pieces, place)
    scale = _SCALES.get(_text(pieces, place + 1))
    if scale is None:
        return _Number(text, place + 1)
    try:
        return _Number(f"{round(float(text) * scale)}", place + 2)
    except ValueError:
        return _Number(text, place + 1)


def _in_words(pieces: Sequence[Piece], place: int, given: int | None = None) -> _Number:
    total, current, room = 0, given or 0, 10**15
    if given is not None:
        room = 1
    while True:
        text = _text(pieces, place)
        after_and = place + 1 if text == "and" and current + total >= 100 and room >= 100 else place
        text = _text(pieces, after_and)
        value = _SMALL.get(text, _TENS.get(text, _ORDINALS.get(text)))
        if value is not None and _size(value) < room:
            current, place = current + value, after_and + 1
            if text in _ORDINALS:
                return _Number(_ordinal(total + current), place)
            room = 10 if text in _TENS else 1
        elif value is not None and not total and current in _CENTURIES and value >= 10:
            current, place = current * 100 + value, place + 1
            room = 10 if text in _TENS else 1
        elif text == "hundred" and after_and == place and 0 < current < 100:
            current, place, room = current * 100, place + 1, 100
        elif (
            text in _SCALES
            and after_and == place
            and current
            and (not total or total >= _SCALES[text] * 1000)
        ):
            total, current, place, room = total + current * _SCALES[text], 0, place + 1, _SCALES[text]
        else:
            return _with_decimals(pieces, place, total + current)


def _with_decimals(pieces: Sequence[Piece], place: int, whole: int) -> _Number:
    """The number, and what follows a "point": "three point one four"."""
    digits, after = "", place + 1
    if _text(pieces, place) == "point":
        while _SMALL.get(_text(pieces, after), 10) < 10:
            digits += str(_SMALL[_text(pieces, after)])
            after += 1
    return _Number(f"{whole}.{digits}", after) if digits else _Number(str(whole), place)


def _size(value: int) -> int:
    """The room that a number word takes after another: five fits after twenty, twenty after hundred."""
    return 1 if value < 10 else 10


def _ordinal(value: int) -> str:
    special = {1: "st", 2: "nd", 3: "rd"}
    return f"{value}{special.get(value % 10, 'th') if value % 100 not in (11, 12, 13) else 'th'}"


def _text(pieces: Sequence[Piece], place: int) -> str:
    return pieces[place].text if 0 <= place < len(pieces) else ""
