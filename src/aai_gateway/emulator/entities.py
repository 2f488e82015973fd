"""Entities in a text, and hiding them: the emulator's own rules, a few patterns and short word lists.

They find what the samples say and what plain English tests say; they are no model.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aai_gateway.emulator.sample_audio import Word
from aai_gateway.emulator.wording import recase

_NAMES = (
    "Adam Alice Amina Anna Bob Carlos Chen Daniel David Elena Emma Fatima George Grace Hannah James "
    "Jane John Julia Karen Laura Lucas Marcus Maria Mark Mary Michael Nadia Olivia Paul Peter Priya "
    "Robert Sara Sarah Sofia Thomas Tom William"
).replace(" ", "|")
_PLACES = (
    "Africa America Asia Ashford Berlin Boston California Canada Chicago China Dublin Europe France "
    "Germany India Ireland Japan London Maine Maryland Minnesota Oregon Paris Portland Salem Seattle "
    "Texas Tokyo Washington"
).replace(" ", "|")
_JOBS = (
    "accountant|artist|associate professor|doctor|driver|editor|engineer|journalist|lawyer|librarian|manager|"
    "nurse|physiotherapist|pilot|professor|scientist|teacher|writer"
)
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_NUMBER = (
    r"(?:\d[\d,.]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|"
    r"forty|fifty|sixty|hundred|thousand)(?: (?:and|hundred|thousand|million|ten|two|three|four|five))*"
)

_RULES: tuple[tuple[str, str], ...] = (
    ("email_address", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("url", r"https?://\S+|www\.\S+"),
    ("us_social_security_number", r"\b\d{3}-\d{2}-\d{4}\b"),
    ("credit_card_number", r"\b(?:\d{4}[ -]){3}\d{4}\b"),
    ("phone_number", r"\b(?:\+?1[ -])?\(?\d{3}\)?[ -]\d{3}[ -]\d{4}\b|\b\d{3}-\d{4}\b"),
    ("ip_address", r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),
    (
        "date",
        rf"\b(?:{_MONTHS}) \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?\b"
        r"|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b",
    ),
    ("money_amount", rf"\$ ?\d[\d,.]*\b|\b{_NUMBER} (?:dollars|euros|pounds)\b"),
    ("statistics", rf"\b{_NUMBER} percent\b|\b\d+(?:\.\d+)?%"),
    ("duration", rf"\b{_NUMBER} (?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b"),
    ("time", r"\b\d{1,2}(?::\d{2})? ?(?:am|pm|a\.m\.|p\.m\.)|\bnoon\b|\bmidnight\b"),
    ("person_age", rf"\b{_NUMBER} years? old\b"),
    (
        "organization",
        r"\b(?:[A-Z][\w'&]+ )+(?:Institute|University|College|Radio|Club|Energy|Bank|Hospital|Company|"
        r"Corporation|Agency|Foundation)\b|\bDepartment of [A-Z]\w+(?: (?:and )?[A-Z]\w+)*",
    ),
    ("person_name", rf"\b(?:{_NAMES})(?: (?:de |van )?[A-Z][a-z]+)?\b"),
    ("location", rf"\b(?:{_PLACES}|the US|the United States)\b"),
    ("injury", r"(?i:\b(?:runner's knee|sprained ankle|pulled hamstring|concussion|fracture)\b)"),
    ("medical_condition", r"(?i:\b(?:asthma|heart disease|heart attacks?|diabetes|cancer|pneumonia)\b)"),
    ("occupation", rf"(?i:\b(?:{_JOBS})\b)"),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _RULES)


@dataclass(frozen=True, slots=True)
class Found:
    """An entity: what kind, its text, and which words it covers (first, last + 1)."""

    kind: str
    text: str
    first: int
    last: int


def find_entities(words: Sequence[Word]) -> list[Found]:
    """Entities in spoken order; where two rules overlap, the one listed first wins."""
    text, owner = "", []
    for index, word in enumerate(words):
        text += word.text + " "
        owner += [index] * (len(word.text) + 1)
    taken: set[int] = set()
    found = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            first, last = owner[match.start()], owner[match.end() - 1] + 1
            if taken.isdisjoint(range(first, last)):
                taken.update(range(first, last))
                found.append(Found(kind, match.group().strip(), first, last))
    return sorted(found, key=lambda entity: entity.first)


def entity_json(entity: Found, words: Sequence[Word]) -> dict[str, Any]:
    """An entity as in a transcript's `entities`."""
    return {
        "entity_type": entity.kind,
        "text": entity.text,
        "start": words[entity.first].start,
        "end": words[entity.last - 1].end,
        "speaker": words[entity.first].speaker,
    }


def redacted(
    words: Sequence[Word], entities: Sequence[Found], policies: Collection[str] | None, how: str
) -> list[Word]:
    """The words with entities of the `policies` (None: all) hidden, as `####` or `[PERSON_NAME]`."""
    out = list(words)
    for entity in entities:
        if policies is not None and entity.kind not in policies:
            continue
        for index in range(entity.first, entity.last):
            plain = re.sub(r"\W+$|^\W+", "", out[index].text)
            hidden = f"[{entity.kind.upper()}]" if how == "entity_name" else "#" * len(plain)
            out[index] = replace(out[index], text=recase(out[index].text, hidden))
    return out
