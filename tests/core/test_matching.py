from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from aai_gateway.core.matching import (
    CLOCK_SKEW,
    DELETED_URL,
    Listed,
    agrees,
    echo_of,
    listed_from,
    match,
    may_have_made,
    spans,
)
from aai_gateway.core.speech_prices import billable_options

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
URL = "https://example.com/a.mp3"
LASTS = timedelta(minutes=2)
QUEUED = {"speaker_labels": False, "multichannel": None, "keyterms_prompt": [], "speech_models": None}


@dataclass(frozen=True)
class Sent:
    id: str
    at: float
    audio_url: str = URL
    requested: dict[str, Any] = field(default_factory=dict)

    @property
    def created_at(self) -> datetime:
        return NOON + timedelta(seconds=self.at)


def job(id: str, at: float, audio_url: str = URL) -> Listed:
    return Listed(id, "completed", audio_url, NOON + timedelta(seconds=at))


def pairs(sent: list[Sent], jobs: list[Listed], **bodies: dict[str, Any]) -> dict[str, str]:
    echoes = {each.id: echo_of({**QUEUED, **bodies.get(each.id, {})}) for each in jobs}
    found = match(sent, jobs, echoes, LASTS)
    assert len(found) == len({one.id for one, _ in found}) == len({each.id for _, each in found})
    return {one.id: each.id for one, each in found}


def test_a_job_is_read_from_an_item_of_the_list():
    item = {"id": "j", "status": "error", "audio_url": URL, "created": "2026-11-21T12:00:00Z", "error": "x"}
    assert Listed("j", "error", URL, NOON, error="x") == listed_from(item)
    done = {"status": "completed", "completed": "2026-11-21T12:00:00Z", "error": ""}
    assert Listed("j", "completed", URL, NOON, completed=NOON) == listed_from({**item, **done})
    assert NOON == listed_from({**item, "created": "2026-11-21T12:00:00.000000"}).created
    assert listed_from({**item, "audio_url": DELETED_URL}).deleted
    assert [True, True, False, False] == [
        listed_from({**item, "status": status}).ended
        for status in ("completed", "error", "queued", "processing")
    ]


@pytest.mark.parametrize(
    "item", [{}, {"id": "j"}, {"id": "j", "status": "", "audio_url": "", "created": "x"}]
)
def test_what_is_no_job_is_refused(item: dict[str, str]):
    with pytest.raises(ValueError, match=r"without|Invalid"):
        listed_from(item)


def test_a_job_may_be_a_submissions_within_its_requests_time_and_the_clocks_difference():
    sent, skew = Sent("s", 0), CLOCK_SKEW.total_seconds()
    assert [True, True, False, False] == [
        may_have_made(sent, job("j", at), LASTS) for at in (-skew, 120 + skew, -skew - 1, 121 + skew)
    ]
    assert not may_have_made(sent, job("j", 0, "https://example.com/b.mp3"), LASTS)
    assert may_have_made(sent, job("j", 0, DELETED_URL), LASTS)


def test_the_list_is_read_once_for_submissions_whose_windows_meet():
    hour = 3600.0
    sent = [Sent("a", 0), Sent("b", 60), Sent("c", hour), Sent("d", 3 * hour)]
    assert ["ab", "c", "d"] == ["".join(one.id for one in members) for _, members in spans(sent, LASTS)]
    first, _ = spans(sent, LASTS)[0]
    assert (NOON - CLOCK_SKEW, NOON + timedelta(minutes=3) + CLOCK_SKEW) == (first.earliest, first.latest)
    assert [] == spans([], LASTS)


@pytest.mark.parametrize(
    ("asked", "echoed", "expected"),
    [
        ({}, {}, True),
        ({"speaker_labels": True}, {"speaker_labels": True}, True),
        ({"speaker_labels": True}, {"speaker_labels": False}, False),
        ({"speaker_labels": True}, {"speaker_labels": None}, True),
        ({}, {"speaker_labels": True}, False),
        ({"speaker_labels": False}, {"speaker_labels": True}, False),
        # AssemblyAI shows lists and texts that it does not echo as empty.
        ({"keyterms_prompt": ["fox"]}, {"keyterms_prompt": []}, True),
        ({"prompt": "a fox"}, {"prompt": "a fox"}, True),
        ({}, {"prompt": "a fox"}, False),
        ({"speech_models": ["universal-2"]}, {"speech_models": ["universal-2"]}, True),
        ({"speech_models": ["universal-2"]}, {"speech_models": ["universal-3-pro"]}, False),
        ({}, {"speech_models": ["universal-3-pro"]}, True),
        ({"speech_model": "universal-2"}, {"speech_model": None}, True),
        ({"domain": "medical-v1"}, {"domain": "medical-v1"}, True),
        ({"domain": "medical-v1"}, {"domain": "general"}, False),
        (
            {"speech_understanding": {"request": {"translation": {"target_languages": ["de"]}}}},
            {"speech_understanding": {"request": {"translation": {}, "summarization": {"a": 1}}}},
            False,
        ),
        ({"speech_understanding": {"request": {"translation": {"x": 1}}}}, {}, True),
        # Switches of an answer that are no options.
        ({}, {"is_deleted": True}, True),
    ],
)
def test_options_tell_jobs_apart(asked: dict[str, Any], echoed: dict[str, Any], expected: bool):
    assert expected == agrees(billable_options(asked), echo_of({**QUEUED, **echoed}))


def test_the_nearest_in_time_is_taken():
    jobs = [job("before", -40), job("after", 3), job("later", 60), job("long-before", -301)]
    assert {"s": "after"} == pairs([Sent("s", 0)], jobs)
    assert {"s": "j"} == pairs([Sent("r", 0), Sent("s", 30)], [job("j", 30.1)])


def test_each_gets_its_own_in_the_order_of_time_although_the_clocks_differ():
    sent = [Sent("a", 0), Sent("b", 10), Sent("c", 20)]
    assert {"a": "x", "b": "y", "c": "z"} == pairs(sent, [job("z", 28), job("x", 8), job("y", 18)])
    assert {"a": "x", "b": "y", "c": "z"} == pairs(sent, [job("x", -5), job("y", 5), job("z", 15)])


def test_options_go_before_time():
    labelled = Sent("labels", 0, requested={"speaker_labels": True})
    plain = Sent("plain", 1)
    found = pairs([labelled, plain], [job("x", 0), job("y", 1)], y={"speaker_labels": True})
    assert {"labels": "y", "plain": "x"} == found
    assert {} == pairs([labelled], [job("x", 0)])


def test_what_is_confirmed_goes_before_what_is_only_not_contradicted():
    model, plain = Sent("model", 1, requested={"speech_models": ["universal-2"]}), Sent("plain", 0)
    body = {"speech_models": ["universal-2"]}
    assert {"model": "x"} == pairs([model, plain], [job("x", 0)], x=body)


def test_other_audio_and_jobs_that_could_not_be_looked_at_are_nobodys():
    other = job("x", 0, "https://example.com/b.mp3")
    assert {} == pairs([Sent("s", 0)], [other])
    assert [] == match([Sent("s", 0)], [job("x", 0)], {}, LASTS)


def test_as_many_as_possible_get_one():
    sent = [Sent("a", 0), Sent("b", 400)]
    # The first alone may have made it, though the second is nearer to the other.
    assert {"a": "x", "b": "y"} == pairs(sent, [job("x", 90), job("y", 110)])
