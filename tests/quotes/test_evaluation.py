"""The measurements themselves: what is asked, what counts as right, what the tables say."""

from __future__ import annotations

import random

import pytest
from evaluation import meetings as data
from evaluation.claims import INVENTED, OTHER_WORDS, REWORDED, cases_of
from evaluation.distortions import ON_THE_SPAN, lossy, swapped, with_ellipsis, without_fillers
from evaluation.locating import Outcome, calibration_error, iou
from evaluation.meetings import Query, load_meetings, tidy
from evaluation.searching import Bm25, Prepared, answers
from evaluation.searching import run as run_searching
from evaluation.tables import Table, write_between_marks

from aai_gateway.quotes.matching import Found, find_quotes


@pytest.fixture
def invented(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "QMSUM", tmp_path / "absent")
    meetings, name = load_meetings()
    assert "three invented meetings" == name
    return meetings


@pytest.fixture
def qmsum():
    if not data.QMSUM.exists():
        pytest.skip("QMSum is not in ../shared")
    return load_meetings(2)[0]


def test_turns_are_tidied_as_a_transcript_is_written():
    assert "It's fine, isn't it?" == tidy("{vocalsound} It 's fine , is{gap}n't it ?").replace(
        "is n't", "isn't"
    )


def test_words_take_380_ms_and_follow_one_another(invented):
    words = [word for sentence in invented[0].sentences for word in sentence.words]
    assert [place * 380 for place in range(len(words))] == [word.start for word in words]
    assert {380} == {word.end - word.start for word in words}


def test_each_querys_turns_are_turns_of_the_meeting(invented):
    for meeting in invented:
        assert meeting.queries
        for query in meeting.queries:
            assert all(0 <= first <= last <= meeting.turns[-1] for first, last in query.spans)


def test_the_cases_are_the_same_each_time_and_of_every_kind(invented):
    cases = cases_of(invented)
    assert cases == cases_of(invented)
    kinds = {case.kind for case in cases}
    assert {*ON_THE_SPAN, INVENTED} < kinds
    assert not {REWORDED, OTHER_WORDS} & kinds


def test_what_was_said_is_found_in_the_invented_meetings(invented):
    for case in cases_of(invented):
        if case.kind == "verbatim":
            (found,) = find_quotes([case.claim], invented[case.meeting].sentences)
            assert isinstance(found, Found)
            assert case.truth == (found.places[0].start, found.places[0].end)


def test_the_paraphrases_are_of_sentences_that_are_there(qmsum):
    cases = [case for case in cases_of(qmsum) if case.kind in {REWORDED, OTHER_WORDS}]
    assert cases
    assert all(case.truth and case.truth[0] < case.truth[1] for case in cases)


def test_distortions_do_what_they_are_called():
    words = [f"w{place}" for place in range(40)]
    chance = random.Random(1)
    kept = lossy(words, ["other"], chance).split()
    assert 30 <= sum(word in words for word in kept) <= 32
    made = with_ellipsis(words, [], chance).split()
    assert 20 <= len(made) - 1 <= 30
    said = "um it it's uh is is well"
    assert "it it's is well" == without_fillers(said.split(), [], chance)
    assert ("negated", "it is not so") == swapped(["it", "is", "so"], [], chance)


def test_confidence_is_calibrated_when_it_is_how_often_it_is_right(invented):
    case = next(case for case in cases_of(invented) if case.truth)
    right = Outcome(case, (case.truth,), None, 0.75)
    wrong = Outcome(case, ((10**9, 10**9 + 1),), None, 0.75)
    assert pytest.approx(0) == calibration_error([right, right, right, wrong])
    assert pytest.approx(0.25) == calibration_error([right])
    assert pytest.approx(0.75) == calibration_error([wrong])


def test_overlap_is_of_time():
    assert 1 == iou((0, 10), (0, 10))
    assert 0 == iou((0, 10), (10, 20))
    assert pytest.approx(1 / 3) == iou((0, 10), (5, 15))


def test_a_table_replaces_what_was_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- eval locating -->\nold\n<!-- /eval locating -->\nafter\n")
    table = Table("T", ("way", "hit"), (("this", "1"),))
    write_between_marks(page, "locating", [table])
    expected = (
        "<!-- eval locating -->\n**T**\n\n| way | hit |\n|---|---:|\n| this | 1 |\n<!-- /eval locating -->"
    )
    assert f"before\n{expected}\nafter\n" == page.read_text()
    with pytest.raises(ValueError, match="no lines <!-- eval searching -->"):
        write_between_marks(page, "searching", [table])


def test_a_passage_answers_when_most_of_it_is_of_the_turns_that_do(qmsum):
    meeting = qmsum[0]
    turn = meeting.turns[10]
    query = Query("?", "", ((turn, turn),))
    one = Prepared(meeting, [], None, None, None)
    inside = [place for place, of in enumerate(meeting.turns) if of == turn]
    assert answers(one, query, (inside[0], inside[-1]))
    assert not answers(one, query, (inside[-1] + 1, inside[-1] + 1))
    assert not answers(one, query, (inside[-1], inside[-1] + 1))


def test_bm25_prefers_rare_words_and_short_texts():
    scores = Bm25(["The slugs come out.", "The rain.", "The rain and the wind and the snow."]).scores("rain")
    assert scores[1] > scores[2] > scores[0] == 0


def test_every_way_of_searching_is_in_the_table(invented):
    table = run_searching(invented)
    assert ["ours", "ours, in all meetings at once"] == [row[0] for row in table.rows[-2:]]
    assert 7 == len(table.rows)
    guide, ours, in_all = (float(table.rows[row][2]) for row in (0, -2, -1))
    assert guide > 0.5 < in_all <= ours
