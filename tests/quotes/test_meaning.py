from __future__ import annotations

import numpy as np
import pytest

from aai_gateway.quotes.meaning import Pooled, nearest_runs
from aai_gateway.quotes.spoken import Claim, Spoken


@pytest.fixture
def pooled(garden, embedder):
    return Pooled.of(embedder.encode([sentence.text for sentence in garden]))


def test_a_run_says_it_in_other_words(garden, pooled, embedder):
    claim = "Snails appear in wet weather; remove them at nightfall using a lamp."
    runs = nearest_runs(Claim.of(claim), embedder.encode([claim])[0], Spoken.of(garden), pooled)
    assert (5, 6) == (runs[0].first, runs[0].last)
    assert runs[0].meaning.margin > 0 >= runs[1].meaning.margin


def test_runs_are_best_first_and_share_no_sentence(garden, pooled, embedder):
    runs = nearest_runs(Claim.of("sun"), embedder.encode(["sun"])[0], Spoken.of(garden), pooled)
    likeness = [run.meaning.likeness for run in runs]
    assert sorted(likeness, reverse=True) == likeness
    taken = [place for run in runs for place in range(run.first, run.last + 1)]
    assert len(set(taken)) == len(taken)


def test_every_run_of_up_to_five_sentences_is_pooled(pooled):
    assert [(0, 0), (1, 1)] == [tuple(run) for run in pooled.runs[:2].tolist()]
    assert 12 + 11 + 10 + 9 + 8 == len(pooled.runs) == sum(map(len, pooled.lengths))


def test_nothing_is_near_in_silence():
    empty = Pooled.of(np.zeros((0, 3), np.float32))
    assert [] == nearest_runs(Claim.of("sun"), np.ones(3, np.float32), Spoken.of([]), empty)
