from __future__ import annotations

from dataclasses import replace

import pytest

from aai_gateway.quotes.alignment import align
from aai_gateway.quotes.extents import to_sentence_edges, with_moved_part
from aai_gateway.quotes.spoken import Claim, Spoken
from aai_gateway.quotes.windows import Sentence

TALK = [
    "Um, so the winner by a wide margin, as far as I know, was heather honey from the moor, you know.",
    "It set like jelly and smelled of smoke.",
    "We buy sixty cups and wash them between the judges.",
]


@pytest.fixture(scope="module")
def spoken():
    return Spoken.of([Sentence(i, line, i * 9000, i * 9000 + 9000) for i, line in enumerate(TALK)])


def text_of(found, spoken: Spoken) -> str:
    return " ".join(word.text for word in spoken.words[found.first : found.last + 1])


def test_a_clause_that_was_moved_belongs_to_the_claim(spoken):
    claim = Claim.of("wash them between the judges, we buy sixty cups and")
    found = align(claim, spoken)[0]
    whole = with_moved_part(claim, found, spoken)
    assert TALK[2] == text_of(whole, spoken)
    assert found.score < whole.score <= 1


def test_what_is_in_its_order_stays_as_it_is(spoken):
    claim = Claim.of("It set like jelly and smelled of ashes")
    found = align(claim, spoken)[0]
    assert found == with_moved_part(claim, found, spoken)


def test_a_part_that_was_not_said_is_not_looked_for_in_vain(spoken):
    claim = Claim.of("Our quarterly dividend rose again because it set like jelly and smelled of smoke")
    found = with_moved_part(claim, align(claim, spoken)[0], spoken)
    assert text_of(found, spoken).endswith(TALK[1])


def test_fillers_and_a_word_that_were_lost_at_a_sentences_edge_belong_to_it(spoken):
    found = align(Claim.of("the winner by a wide margin was heather honey from the moor"), spoken)[0]
    assert TALK[0] == text_of(to_sentence_edges(found, spoken), spoken)


def test_a_claim_that_begins_further_inside_does_not_move(spoken):
    found = align(Claim.of("wide margin was heather honey"), spoken)[0]
    reached = to_sentence_edges(found, spoken)
    assert replace(found, first=reached.first, last=reached.last) == found
