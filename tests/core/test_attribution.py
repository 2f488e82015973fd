"""Tags and end users, from wherever LiteLLM's clients put them."""

from __future__ import annotations

import pytest

from aai_gateway.core.attribution import Attribution, attribution
from aai_gateway.core.tenancy import MASTER, Caller, Team, VirtualKey
from aai_gateway.errors import InvalidRequest

CALLER = Caller(
    key=VirtualKey(hash="h", masked="sk-...1234", metadata={"tags": ["key", "both"]}),
    team=Team(id="t", alias="t", metadata={"tags": ["team", "both"], "other": 1}),
)


def test_a_requests_own_tags_come_first_and_none_twice():
    found = attribution(CALLER, headers={"x-litellm-tags": "header, body ,,"}, tags=["body", "own"])
    assert Attribution(("body", "own", "header", "key", "both", "team")) == found


def test_nothing_said_is_nothing():
    assert Attribution() == attribution(MASTER, headers={"x-litellm-tags": " , "}, tags=[None, 7, ""])


@pytest.mark.parametrize(
    ("headers", "end_user", "expected"),
    [
        ({"x-litellm-customer-id": "c-1"}, None, "c-1"),
        ({"x-litellm-end-user-id": " e-1 "}, None, "e-1"),
        ({"x-litellm-customer-id": "c-1"}, "body-1", "body-1"),
        ({"x-litellm-customer-id": " "}, None, None),
    ],
)
def test_the_end_user_is_the_bodys_or_the_headers(headers, end_user, expected):
    assert expected == attribution(MASTER, headers=headers, end_user=end_user).end_user


@pytest.mark.parametrize(
    ("headers", "tags"),
    [
        ({"x-litellm-tags": "x" * 257}, []),
        ({}, [f"tag-{number}" for number in range(51)]),
        ({"x-litellm-tags": "a\x00b"}, []),
        ({"x-litellm-end-user-id": "x" * 257}, []),
    ],
)
def test_what_no_report_could_show_is_refused(headers, tags):
    with pytest.raises(InvalidRequest):
        attribution(MASTER, headers=headers, tags=tags)


def test_metadata_that_holds_no_list_of_tags_is_no_tags():
    key = VirtualKey(hash="h", masked="m", metadata={"tags": "billing"})
    assert Attribution() == attribution(Caller(key=key, team=None), headers={})
