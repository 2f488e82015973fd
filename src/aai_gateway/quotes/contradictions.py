"""What changes a claim's sense where its words are otherwise there: numbers, negation, names. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from aai_gateway.quotes.alignment import Alignment
from aai_gateway.quotes.spoken import Claim, Spoken
from aai_gateway.quotes.tokens import NEGATIONS


def contradicted(claim: Claim, alignment: Alignment, spoken: Spoken) -> float:
    """The share of the differences that change what is claimed: 0 for none, 1 when every one does.

    A claim that leaves out many words may leave out a "not" too; one that differs in nothing but a "not"
    says the opposite.
    """
    heard = {there for _, there in alignment.pairs}
    kept = {number for (number, _), alike in zip(alignment.pairs, alignment.alike, strict=True) if alike > 0}
    lost = [number for number in range(len(claim.tokens)) if number not in kept]
    begin, end = alignment.heard
    missed = [
        there
        for there in range(begin, end + 1)
        if there not in heard and not spoken.filler[there] and not claim.breaks
    ]
    near = {token.text for token in spoken.tokens[max(0, begin - 2) : end + 3]}
    names = _names(claim)
    wrong = sum(_changes_sense(claim.tokens[number].text, near, number in names) for number in lost)
    unsaid = [spoken.tokens[there].text for there in missed] + [
        spoken.tokens[there].text
        for (_, there), alike in zip(alignment.pairs, alignment.alike, strict=True)
        if alike == 0
    ]
    wrong += sum(text in NEGATIONS for text in unsaid)
    return min(1.0, wrong / max(1, len(lost) + len(missed)))


def _changes_sense(text: str, near: set[str], is_name: bool) -> bool:
    """Whether a token that the place does not have says something else. "One" is seldom a number."""
    if text in NEGATIONS:
        return True
    return text not in near and (is_name or (text[0].isdigit() and text not in {"1", "1st"}))


def _names(claim: Claim) -> set[int]:
    """The numbers of the tokens whose word begins with a capital inside a sentence, "I" aside."""
    words = claim.text.split()
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
