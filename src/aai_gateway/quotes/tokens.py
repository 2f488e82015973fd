"""Words as tokens that can be compared, however they were written. Pure.

"Twenty-five per cent", "25%" and "twenty five percent" are the tokens `25 percent`; "Don't" is `do not`,
"colour" is `color`. Each token knows the words that it came from, so that a match of tokens is a span of
words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aai_gateway.quotes.numerals import Piece, numbers_joined
from aai_gateway.quotes.windows import Sentence, Word

FILLERS = frozenset(
    "um umm uh uhh uhm er erm eh ah hm hmm mm mmm mhm huh".split()  # noqa: SIM905 - words to read
)
FILLER_PAIRS = frozenset({("you", "know"), ("i", "mean")})
NEGATIONS = frozenset(
    "not no never none nothing nobody nowhere neither nor without cannot".split()  # noqa: SIM905 - words to read
)

_PIECE = re.compile(
    r"\d+(?:st|nd|rd|th)\b|\d+(?:[.,]\d+)*|[\u3040-\u30ff\u3400-\u9fff]"
    r"|[^\W\d_\u3040-\u30ff\u3400-\u9fff]+(?:'[^\W\d_]+)*|[%$€£&]"
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.){2,}[^\W\d_]?\.?|[^\W\d_]\.[^\W\d_]\.?")
_GROUPING = re.compile(r",(?=\d{3}\b)")
_APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")
_SPELT: dict[str, tuple[str, ...]] = {
    "won't": ("will", "not"),
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "shan't": ("shall", "not"),
    "ain't": ("is", "not"),
    "let's": ("let", "us"),
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("got", "to"),
    "kinda": ("kind", "of"),
    "sorta": ("sort", "of"),
    "alright": ("all", "right"),
    "cause": ("because",),
    "cuz": ("because",),
    "ok": ("okay",),
    "grey": ("gray",),
    "mr": ("mister",),
    "dr": ("doctor",),
    "vs": ("versus",),
    "&": ("and",),
    "%": ("percent",),
    "dollars": ("dollar",),
    "euros": ("euro",),
    "pounds": ("pound",),
}
_CLITICS = {"re": "are", "ve": "have", "ll": "will", "m": "am", "d": "would"}
_IS_AFTER = frozenset(
    "it that this he she there here what who where how when why".split()  # noqa: SIM905 - words to read
)
_SPELLINGS = (
    (re.compile(r"(?<=..)our(?=$|s$|ed$|ing$|ite|able|ful|less|hood)"), "or"),
    (re.compile(r"(?<=...)is(?=e$|es$|ed$|er$|ers$|ing$|ation|able$)"), "iz"),
    (re.compile(r"(?<=..)ys(?=e$|es$|ed$|ing$)"), "yz"),
    (re.compile(r"(?<=..[tb])re$"), "er"),
)


@dataclass(frozen=True, slots=True)
class Token:
    """What is compared, and the first and last word (numbers from 0, inclusive) that it was made of."""

    text: str
    first: int
    last: int


def tokenize(words: Iterable[str]) -> list[Token]:
    """The tokens of words, in order. A word that is only punctuation gives none."""
    pieces = [Piece(text, number) for number, word in enumerate(words) for text in pieces_of(word)]
    return [Token(text, first, last) for text, first, last in numbers_joined(pieces)]


@lru_cache(maxsize=65536)
def pieces_of(word: str) -> tuple[str, ...]:
    """A word's parts before numbers are read: "Twenty-five" is `twenty five`, "she'll" is `she will`."""
    if word.isascii():
        plain = word.lower()
    else:
        decomposed = unicodedata.normalize("NFKD", word.translate(_APOSTROPHES).casefold())
        plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    if "." in plain and _INITIALS.fullmatch(plain.strip("\"'(),;:?!")):
        plain = plain.replace(".", "")
    parts: list[str] = []
    for part in _PIECE.findall(plain):
        parts += _spelt(part)
    return tuple(parts)


def _spelt(part: str) -> tuple[str, ...]:
    """A part as it is spelt here: contractions in full, one spelling for British and American words."""
    if part in _SPELT:
        return _SPELT[part]
    if part[0].isdigit():
        return (_GROUPING.sub("", part),)
    if "'" in part:
        stem, _, clitic = part.rpartition("'")
        if clitic == "t" and stem.endswith("n"):
            return (stem.removesuffix("n").replace("'", ""), "not")
        if clitic in _CLITICS:
            return (stem.replace("'", ""), _CLITICS[clitic])
        if clitic == "s" and stem in _IS_AFTER:
            return (stem, "is")
        return (part.replace("'", ""),)
    if len(part) > 4:
        for pattern, spelling in _SPELLINGS:
            part = pattern.sub(spelling, part)
    return (part,)


def is_filler(tokens: Sequence[str]) -> list[bool]:
    """For each token whether nothing is lost without it: "um", and "you know" as a pair."""
    filler = [token in FILLERS for token in tokens]
    for place in range(len(tokens) - 1):
        if (tokens[place], tokens[place + 1]) in FILLER_PAIRS:
            filler[place] = filler[place + 1] = True
    return filler


def spaced(words: Sequence[Word], text: str) -> list[str]:
    """A sentence's words, each with the space after it: none where its text has none, as Chinese has."""
    parts = [word.text for word in words]
    spaces = [" "] * len(parts)
    if parts != text.split():
        place = 0
        for number, part in enumerate(parts):
            begin = text.find(part, place)
            if begin < 0:
                break
            if number and begin == place:
                spaces[number - 1] = ""
            place = begin + len(part)
    return [part + space for part, space in zip(parts, spaces, strict=True)]


def words_of(sentence: Sentence) -> tuple[Word, ...]:
    """A sentence's words; where only its own times are known, they are shared out by the words' lengths."""
    if sentence.words:
        return sentence.words
    parts = sentence.text.split()
    whole = sum(len(part) + 1 for part in parts)
    span = sentence.end - sentence.start
    words, passed = [], 0
    for part in parts:
        begin, passed = passed, passed + len(part) + 1
        start = sentence.start + span * begin // whole
        words.append(Word(part, start, sentence.start + span * passed // whole))
    return tuple(words)
