"""Which model answered, and at which of its prices."""

from __future__ import annotations

import pytest

from aai_gateway.core.prices import TokenUsage
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import MASTER
from aai_gateway.gateway.chat_answer import Answered
from aai_gateway.gateway.chat_request import Fallback
from aai_gateway.gateway.completion import ChatCall
from aai_gateway.price_book import load_price_book


def test_a_fallback_may_have_a_price_list_of_its_own() -> None:
    call = ChatCall("id", MASTER, Region.US, "a", False, (Fallback("b", True), Fallback("c", False)))

    assert [False, True, False, False] == [call.is_global_for(model) for model in ("a", "b", "c", "unknown")]


@pytest.mark.parametrize(
    ("named", "echoed", "expected"),
    [
        ("claude-sonnet-4-6", None, "claude-sonnet-4-6"),
        ("gpt-5", None, "gpt-5"),
        ("a-name-of-the-makers", None, "claude-sonnet-4-6"),
        (None, "gpt-5", "gpt-5"),
        (None, "claude-sonnet-4-6", "claude-sonnet-4-6"),
        (None, "nobody-asked-for-it", "claude-sonnet-4-6"),
        (None, None, "claude-sonnet-4-6"),
    ],
)
def test_the_model_that_answered_is_the_one_with_a_price(
    named: str | None, echoed: str | None, expected: str
) -> None:
    call = ChatCall("id", MASTER, Region.US, "claude-sonnet-4-6", False, (Fallback("gpt-5", False),))

    assert expected == call.answering_model(Answered(TokenUsage(), named, echoed), load_price_book())
