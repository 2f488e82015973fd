"""What is held for a speech job: the price of its real length, by the dearest model that it may run."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from aai_gateway.core.estimates import Length, likely_speech_cost
from aai_gateway.core.prices import billable_options
from aai_gateway.price_book import load_price_book

AT = datetime(2026, 11, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("request_body", "length", "micros"),
    [
        ({}, Length(3600), 210_000),
        ({"speech_models": ["universal-2"]}, Length(3600), 150_000),
        # Which of several runs is known only at the end.
        ({"speech_models": ["universal-2", "universal-3-pro"]}, Length(3600), 210_000),
        ({"speaker_labels": True, "speech_models": ["universal-2"]}, Length(3600), 170_000),
        ({"multichannel": True}, Length(3600, 3), 630_000),
        ({"multichannel": True}, Length(3600), 420_000),
        # The channels of a file are charged only when they are asked for.
        ({}, Length(3600, 6), 210_000),
        ({"speech_models": ["of-tomorrow"], "domain": "medical-v1"}, Length(3600), 360_000),
        ({}, Length(0), 0),
    ],
)
def test_the_likely_cost(request_body, length, micros):
    options = billable_options({"audio_url": "https://example.org/a.wav", **request_body})
    assert micros == likely_speech_cost(load_price_book(), options, length, at=AT).micros
