"""The claims of the locating task: what was said, distorted or in other words, and what was not."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from aai_gateway.quotes.spoken import Claim, Spoken
from evaluation.distortions import ON_THE_SPAN, shuffled, swapped
from evaluation.meetings import QMSUM, Meeting

PARAPHRASES = Path(__file__).with_name("paraphrases.yaml")
SPANS = 12
"""Spans of a meeting that each distortion is given."""
FEWEST_WORDS = 8
OTHER_MEETING, SAME_PROJECT, INVENTED = "another series", "same series", "invented"
REWORDED, OTHER_WORDS = "reworded by hand", "in other words, by hand"
CUT = "cut at both ends"


@dataclass(frozen=True, slots=True)
class Case:
    """A claim put to the meeting with this number. `truth` is (start, end) in ms; None: it was not said."""

    meeting: int
    kind: str
    claim: str
    truth: tuple[int, int] | None


def cases_of(meetings: Sequence[Meeting], seed: int = 6) -> list[Case]:
    """Every claim, the same ones for the same meetings and seed."""
    spoken = [Spoken.of(meeting.sentences) for meeting in meetings]
    cases: list[Case] = []
    for number in range(len(meetings)):
        chance = random.Random(f"{seed} {meetings[number].name}")  # noqa: S311 - repeatable
        cases += _said(number, spoken[number], chance)
        cases += _not_said(number, meetings, spoken, chance)
    return cases + [case for case in _in_other_words(meetings) if case.meeting < len(meetings)]


def _said(number: int, spoken: Spoken, chance: random.Random) -> Iterator[Case]:
    others = [word.text for word in spoken.words]
    for first, last in _spans(spoken, SPANS, chance):
        words = others[first : last + 1]
        truth = (spoken.words[first].start, spoken.words[last].end)
        for kind, distortion in ON_THE_SPAN.items():
            yield Case(number, kind, distortion(words, others, chance), truth)
        cut = len(words) // 5 + 1
        begin, end = chance.randint(1, cut), len(words) - chance.randint(1, cut)
        truth = (spoken.words[first + begin].start, spoken.words[first + end - 1].end)
        yield Case(number, CUT, " ".join(words[begin:end]), truth)


def _not_said(
    number: int, meetings: Sequence[Meeting], spoken: Sequence[Spoken], chance: random.Random
) -> Iterator[Case]:
    here = spoken[number]
    words = [word.text for word in here.words]
    for kind, wanted in ((SAME_PROJECT, True), (OTHER_MEETING, False)):
        elsewhere = [
            place
            for place, meeting in enumerate(meetings)
            if place != number and (meeting.project == meetings[number].project) == wanted
        ]
        for _ in range(2 * SPANS if elsewhere else 0):
            place = chance.choice(elsewhere)
            for first, last in _spans(spoken[place], 1, chance):
                claim = " ".join(word.text for word in spoken[place].words[first : last + 1])
                if not _is_said(claim, here):
                    yield Case(number, kind, claim, None)
    for first, last in _spans(here, SPANS, chance):
        yield Case(number, INVENTED, shuffled(words[first : last + 1], words, chance), None)
    for first, last in _spans(here, SPANS, chance):
        made = swapped(words[first : last + 1], words, chance)
        if made is not None:
            yield Case(number, f"said, but {made[0]}", made[1], None)


def _in_other_words(meetings: Sequence[Meeting]) -> Iterator[Case]:
    """The paraphrases are of QMSum's meetings."""
    if not meetings or not meetings[0].name.startswith(QMSUM.stem):
        return
    written = yaml.safe_load(PARAPHRASES.read_text(encoding="utf-8"))
    for kind, name in ((REWORDED, "reworded"), (OTHER_WORDS, "other words")):
        for number, first, last, claim in written[name]:
            if number < len(meetings):
                said = meetings[number].sentences
                yield Case(number, kind, claim, (said[first].start, said[last].end))


def _spans(spoken: Spoken, count: int, chance: random.Random) -> list[tuple[int, int]]:
    """(first, last) word of up to `count` runs of one to five sentences that have FEWEST_WORDS, said once."""
    found: list[tuple[int, int]] = []
    for _ in range(20 * count):
        size = min(chance.randint(1, 5), len(spoken.sentences))
        begin = chance.randrange(len(spoken.sentences) - size + 1)
        first, last = spoken.words_between(begin, begin + size - 1)
        text = " ".join(word.text for word in spoken.words[first : last + 1])
        if last - first + 1 >= FEWEST_WORDS and len(spoken.written(text)) == 1:
            found.append((first, last))
        if len(found) == count:
            break
    return found


def _is_said(claim: str, spoken: Spoken) -> bool:
    texts = " ".join(token.text for token in Claim.of(claim).tokens)
    return texts in " ".join(token.text for token in spoken.tokens)
