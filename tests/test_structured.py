from __future__ import annotations

import json
from itertools import pairwise

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scripted_chat import Scripted, streamed

from aai_gateway.structured import Form, StreamedList, ask_for, json_values

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
JSON = st.recursive(
    SCALARS,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=6), part, max_size=3),
    max_leaves=8,
)
BEFORE = ["", "Here: ", "As [asked] in {braces}: ", "```json\n", '{"note": 1} [2, {"statements": [3]}] ']
AFTER = ["", "\n```", " {", ' {"statements": [4]}', "]}"]


@st.composite
def answers(draw):
    """An answer with a list in it, as models write them."""
    members = draw(st.dictionaries(st.text(max_size=6), JSON, max_size=3))
    members.pop("statements", None)
    items = [*members.items(), ("statements", draw(st.lists(JSON, max_size=5)))]
    written = json.dumps(
        dict(draw(st.permutations(items))),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 2])),
    )
    return draw(st.sampled_from(BEFORE)) + written + draw(st.sampled_from(AFTER))


def cut(text, places):
    """The text in pieces that begin at these places."""
    begins = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[begin:end] for begin, end in pairwise(begins)]


def read(text):
    """The list in a whole answer."""
    return next(
        value["statements"]
        for value in json_values(text)
        if isinstance(value, dict) and isinstance(value.get("statements"), list)
    )


def items_of(pieces):
    statements = StreamedList("statements")
    return [item for piece in pieces for item in statements.feed(piece)]


@given(answers(), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_pieces_give_the_same_items_in_the_same_order(text, places):
    assert read(text) == items_of(cut(text, places)) == items_of(text)


@given(answers(), st.integers(0, 10_000))
def test_what_is_cut_off_gives_the_first_items_and_no_half_one(text, place):
    given_items = items_of(text[: place % (len(text) + 1)])
    assert read(text)[: len(given_items)] == given_items


@given(st.text('{}[]",:\\ a1', max_size=60))
@example("[" * 3000)
def test_what_is_no_answer_is_not_stumbled_over(text):
    assert items_of(text) == items_of(cut(text, range(0, 60, 7)))


def test_an_item_is_had_before_the_next_is_written():
    statements = StreamedList("statements")
    assert [] == statements.feed('{"answered": true, "statements": [{"text": "A}]"')
    assert [] == statements.feed(', "citations": []')
    assert [{"text": "A}]", "citations": []}] == statements.feed("}, {")
    assert [] == statements.feed('"text": "B"')
    assert [{"text": "B"}] == statements.feed("}]}")
    assert [] == statements.feed(' {"statements": [1]}')


def test_an_answer_is_heard_as_it_comes_and_the_repair_anew():
    model = Scripted(streamed(["no", "thing"]), streamed(["[", "1]"]))
    heard = []

    def begin():
        heard.append([])
        return heard[-1].append

    found, answers = ask_for(
        model.chat, Form("numbers", "[1]", json.loads), "Count.", max_tokens=9, on_answer=begin
    )
    assert [1] == found
    assert 2 == len(answers)
    assert [["no", "thing"], ["[", "1]"]] == heard
    assert [True, True] == [asked["stream"] for asked in model.asked]


def test_a_model_that_takes_no_schema_is_streamed_without_it():
    refused = httpx.Response(400, json={"message": "model m does not support response_format"})
    model = Scripted(refused, streamed(["[1]"]))
    form, heard = Form("numbers", "[1]", json.loads, {"type": "array"}), []
    found, _ = ask_for(model.chat, form, "Count.", max_tokens=9, on_answer=lambda: heard.append)
    assert ([1], ["[1]"]) == (found, heard)
    assert [True, False] == ["response_format" in asked for asked in model.asked]


def test_json_that_is_nested_too_deeply_is_no_json():
    with pytest.raises(StopIteration):
        read("[" * 3_000 + '{"answered": true}')
