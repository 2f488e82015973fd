"""What changes a claim's sense where its words are otherwise there: numbers, negation, names. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from aai_gateway.quotes.alignment import Alignment
from aai_gateway.quotes.spoken import Claim, Spoken
from aai_gateway.quotes.tokens import NEGATIONS, pieces_of

NEAR_BY = 2
"""Tokens on either side in which a word that is only out of its order may be."""


def contradicted(claim: Claim, alignment: Alignment, spoken: Spoken) -> float:
    """The share of the differences that change what is claimed: 0 for none, 1 when every one does.

    A claim that leaves out many words may leave out a "not" too; one that differs in nothing but a "not"
    says the opposite.
    """
    place_of = dict(alignment.pairs)
    replaced = {
        number for (number, _), alike in zip(alignment.pairs, alignment.alike, strict=True) if alike == 0
    }
    lost = [number for number in range(len(claim.tokens)) if number not in place_of or number in replaced]
    begin, end = alignment.heard
    heard = set(place_of.values())
    missed = [
        there
        for there in range(begin, end + 1)
        if there not in heard and not spoken.filler[there] and not claim.breaks
    ]
    names = _names(claim)
    wrong, at = 0, begin
    for number in range(len(claim.tokens)):
        at = place_of.get(number, at)
        if number in replaced or number not in place_of:
            wrong += _changes_sense(claim, number, number in names, spoken, at)
    unsaid = [*missed, *(place_of[number] for number in replaced)]
    wrong += sum(spoken.tokens[there].text in NEGATIONS for there in unsaid)
    return min(1.0, wrong / max(1, len(lost) + len(missed)))


def _changes_sense(claim: Claim, number: int, is_name: bool, spoken: Spoken, at: int) -> bool:
    """Whether a token of the claim that is not at its place says something else. "One" is seldom a number."""
    token = claim.tokens[number]
    if token.text in NEGATIONS:
        return True
    near = spoken.tokens[max(0, at - NEAR_BY) : at + NEAR_BY + 1]
    if any(token.text == other.text for other in near):
        return False
    if not token.text[0].isdigit() or token.text in {"1", "1st"}:
        return is_name
    # Where a claim is cut, it may have the end of a longer number: "five" of "twenty-five".
    cut = {0, len(claim.tokens) - 1, *claim.breaks, *(one - 1 for one in claim.breaks)}
    parts = {part for other in near for word in spoken.words_of(other) for part in pieces_of(word)}
    said = [part for word in claim.words_of(token) for part in pieces_of(word)]
    return number not in cut or not parts.issuperset(said)


def _names(claim: Claim) -> set[int]:
    """The numbers of the tokens whose word begins with a capital inside a sentence, "I" aside."""
    words = claim.words
    return {
        number
        for number, token in enumerate(claim.tokens)
        if _is_name(words, token.first) and len(token.text) > 1
    }


def _is_name(words: Sequence[str], place: int) -> bool:
    if not 0 < place < len(words):
        return False
    word = words[place].lstrip("\"'“‘(")
    return (
        word[:1].isupper()
        and word[1:2].islower()
        and words[place - 1][-1].isalnum() | (words[place - 1][-1] == ",")
    )
