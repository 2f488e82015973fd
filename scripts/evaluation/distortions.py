"""What people and models make of a quote: each distortion takes the words said and gives a claim."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

FILLERS = frozenset(
    "um uh er erm hmm mm mm-hmm uh-huh ah".split()  # noqa: SIM905 - words to read
)
SYNONYMS = {
    "think": "believe",
    "big": "large",
    "important": "essential",
    "need": "require",
    "use": "employ",
    "good": "fine",
    "get": "obtain",
    "show": "present",
    "maybe": "perhaps",
    "really": "truly",
    "people": "persons",
    "start": "begin",
    "want": "wish",
    "problem": "issue",
    "probably": "presumably",
    "about": "regarding",
    "also": "too",
    "but": "however",
    "because": "since",
    "very": "extremely",
    "kind": "sort",
    "look": "glance",
    "make": "produce",
    "different": "distinct",
    "just": "only",
    "should": "ought to",
    "can": "is able to",
    "going": "about",
    "things": "matters",
    "thing": "matter",
    "better": "superior",
    "have": "possess",
    "lot": "great deal",
    "said": "stated",
    "okay": "fine",
    "yeah": "yes",
    "help": "assist",
    "new": "novel",
    "small": "little",
    "work": "function",
}

Distortion = Callable[[Sequence[str], Sequence[str], random.Random], str]
"""Takes the words, the words of the whole meeting, and chance."""


def verbatim(words: Sequence[str], others: Sequence[str], chance: random.Random) -> str:
    """As it was said."""
    return " ".join(words)


def bare(words: Sequence[str], others: Sequence[str], chance: random.Random) -> str:
    """Punctuation and case gone."""
    return " ".join(re.sub(r"[^\w\s'-]", "", " ".join(words)).lower().split())


def without_fillers(words: Sequence[str], others: Sequence[str], chance: random.Random) -> str:
    """Fillers dropped, and words that were said twice in a row."""
    kept: list[str] = []
    for word in words:
        plain = _plain(word)
        if plain not in FILLERS and not (kept and plain == _plain(kept[-1])):
            kept.append(word)
    return " ".join(kept)


def lossy(words: Sequence[str], others: Sequence[str], chance: random.Random) -> str:
    """20 to 25 % of the words dropped, or replaced by others of the meeting."""
    count = round(len(words) * chance.uniform(0.20, 0.25))
    changed = set(chance.sample(range(len(words)), count))
    kept = []
    for place, word in enumerate(words):
        if place not in changed:
            kept.append(word)
        elif chance.random() < 0.5:
            kept.append(chance.choice(others))
    return " ".join(kept)


def merged(words: Sequence[str], others: Sequence[str], chance: random.Random) -> str:
    """Sentences joined by "and" or a comma."""
    joined = " ".join(words)
    join = chance.choice([", ", " and ", ", and "])
    return re.sub(r"[.?!]\s+([A-Z])", lambda found: join + found.group(1).lower(), joined)


def with_ellipsis(words: Sequence[str], others: Sequence[str], chance: random.Random) -> str:
    """A quarter to a half of the words in the middle left out, with an ellipsis in their place."""
    gap = round(len(words) * chance.uniform(0.25, 0.5))
    begin = chance.randint(3, max(3, len(words) - gap - 3))
    dots = chance.choice(["…", "...", "[...]"])
    return " ".join([*words[:begin], dots, *words[begin + gap :]])


def rewritten(words: Sequence[str], others: Sequence[str], chance: random.Random) -> str:
    """Synonyms by a list, fillers dropped, and half of the time the clauses at a comma swapped."""
    text = [SYNONYMS.get(_plain(word), word) for word in words if _plain(word) not in FILLERS]
    joined = " ".join(text)
    head, comma, tail = joined.partition(", ")
    if comma and chance.random() < 0.5 and len(tail.split()) > 2:
        return f"{tail.rstrip('.?!')}, {head}"
    return joined


ON_THE_SPAN: dict[str, Distortion] = {
    "verbatim": verbatim,
    "no punctuation or case": bare,
    "no fillers": without_fillers,
    "20-25 % of words dropped or replaced": lossy,
    "sentences merged": merged,
    "ellipsis in the middle": with_ellipsis,
    "rewritten by rule": rewritten,
}


def swapped(words: Sequence[str], others: Sequence[str], chance: random.Random) -> tuple[str, str] | None:
    """What was swapped, and the claim: a number, a name, a "not" more or less; None when nothing can be."""
    ways = [_other_number, _other_name, _negated]
    chance.shuffle(ways)
    for way in ways:
        made = way(list(words), others, chance)
        if made is not None:
            return way.__name__.strip("_").replace("_", " "), made
    return None


def shuffled(words: Sequence[str], others: Sequence[str], chance: random.Random) -> str:
    """What nobody said: a chain of the meeting's words, six of ten having once followed the one before."""
    after: dict[str, list[str]] = {}
    for one, two in pairwise(others):
        after.setdefault(_plain(one), []).append(two)
    made = [chance.choice(others)]
    while len(made) < len(words):
        follows = after.get(_plain(made[-1])) or [chance.choice(others)]
        made.append(chance.choice(follows) if chance.random() < 0.6 else chance.choice(others))
    return " ".join(made)


_NUMBERS = tuple(
    "two three four five six seven eight nine ten twelve fifteen twenty thirty fifty hundred".split()  # noqa: SIM905 - words to read
)


def _other_number(words: list[str], others: Sequence[str], chance: random.Random) -> str | None:
    places = [p for p, word in enumerate(words) if _plain(word) in _NUMBERS or _plain(word).isdigit()]
    if not places:
        return None
    place = chance.choice(places)
    words[place] = chance.choice([one for one in _NUMBERS[:-1] if one != _plain(words[place])])
    return " ".join(words)


def _other_name(words: list[str], others: Sequence[str], chance: random.Random) -> str | None:
    def names(of: Sequence[str]) -> list[int]:
        return [
            place
            for place in range(1, len(of))
            if re.fullmatch(r"[A-Z][a-z]{2,}[.,]?", of[place]) and re.search(r"\w$", of[place - 1])
        ]

    places = names(words)
    if not places:
        return None
    place = chance.choice(places)
    taken = {_plain(word) for word in words}
    choices = [others[p] for p in names(others) if _plain(others[p]) not in taken]
    if not choices:
        return None
    words[place] = chance.choice(choices)
    return " ".join(words)


def _negated(words: list[str], others: Sequence[str], chance: random.Random) -> str | None:
    for place, word in enumerate(words):
        if _plain(word) == "not":
            return " ".join(words[:place] + words[place + 1 :])
        if _plain(word) in {
            "is",
            "are",
            "was",
            "were",
            "will",
            "can",
            "should",
            "would",
            "have",
            "has",
            "do",
        }:
            return " ".join([*words[: place + 1], "not", *words[place + 1 :]])
    return None


def _plain(word: str) -> str:
    return word.strip(".,;:?!\"'").lower()
