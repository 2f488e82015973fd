"""What a speech understanding request says; what two readers could read differently is refused."""

from __future__ import annotations

from typing import Any

import pytest

from aai_gateway.errors import InvalidRequest, NotFound
from aai_gateway.gateway.understanding_request import Asked, asked_of

TASK = {"translation": {"target_languages": ["es"]}}
UNDERSTANDING = {"request": TASK}


def test_the_transcript_and_the_add_ons():
    request = {**TASK, "summarization": {}}

    asked = asked_of({"transcript_id": "t-1", "speech_understanding": {"request": request}, "more": 1})

    assert Asked("t-1", ("speech_understanding.summarization", "speech_understanding.translation")) == asked


def test_no_transcript_is_for_the_operation_to_refuse():
    assert None is asked_of({"speech_understanding": UNDERSTANDING}).transcript_id


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"speech_understanding": None},
        {"speech_understanding": [TASK]},
        {"speech_understanding": {}},
        {"speech_understanding": {"request": []}},
        {"speech_understanding": UNDERSTANDING, "transcript_id": 7},
        {"speech_understanding": UNDERSTANDING, "transcript_id": ["t-1"]},
        {"speech_understanding": UNDERSTANDING, "transcript_id": "t-1", "Transcript_ID": "t-2"},
        {"speech_understanding": UNDERSTANDING, "tran\u017fcript_id": "t-2"},
        {"speech_understanding": UNDERSTANDING, "Speech_Understanding": UNDERSTANDING},
        {"speech_understanding": {"request": TASK, "Request": TASK}},
        {"speech_understanding": {"request": TASK, "transcript_id": "t-2"}},
        {"speech_understanding": {"request": {"translation": {"a": [{"TRANSCRIPT_ID": "t-2"}]}}}},
        {"speech_understanding": {"request": {f"task{number}": {} for number in range(101)}}},
    ],
)
def test_what_cannot_be_owned_or_priced_is_refused(body: dict[str, Any]):
    with pytest.raises(InvalidRequest):
        asked_of(body)


@pytest.mark.parametrize("transcript_id", ["", "../upload", "a/b", "a%2Fb", "é", "a\n", "x" * 65])
def test_what_cannot_be_an_id_is_not_found(transcript_id: str):
    with pytest.raises(NotFound):
        asked_of({"speech_understanding": UNDERSTANDING, "transcript_id": transcript_id})
