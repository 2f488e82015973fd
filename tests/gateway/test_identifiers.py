from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.gateway.identifiers import IdentifierFilter, without_identifiers

HIDDEN = ("token_id", "project_id")
names = st.one_of(
    st.sampled_from([*HIDDEN, '"token_id":1,', 'x"token_id', "\\", '\\"project_id"', "token_id,"]), st.text()
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), names)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
)


def plainly_without(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: plainly_without(v) for k, v in value.items() if k not in HIDDEN}
    return [plainly_without(item) for item in value] if isinstance(value, list) else value


@given(values, st.sampled_from([None, 0, 3]), st.sampled_from([(", ", ": "), (",", ":"), (" ,\t", " :\r\n")]))
def test_what_is_left_parses_to_the_same_without_these_members(value, indent, separators):
    body = json.dumps(value, indent=indent, separators=separators).encode()
    assert plainly_without(value) == json.loads(without_identifiers(body))


@given(values, st.data())
def test_any_chunking_gives_the_same(value, data):
    body = json.dumps(value, indent=data.draw(st.sampled_from([None, 2]))).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    identifiers = IdentifierFilter()
    edges = [0, *cuts, len(body)]
    parts = [identifiers.feed(body[start:end]) for start, end in pairwise(edges)]
    left = b"".join(parts) + identifiers.finish()
    assert plainly_without(value) == json.loads(left)


@given(st.binary())
def test_a_body_without_these_names_stays_as_it_is(body):
    identifiers = IdentifierFilter()
    if not any(name.encode() in body for name in HIDDEN):
        assert body == without_identifiers(body)
        assert body == identifiers.feed(body) + identifiers.finish()


def test_a_long_body_streams_by_and_little_of_it_is_kept():
    identifiers = IdentifierFilter()
    word = b'{"text":"a","start":1,"end":2},'
    passed = [identifiers.feed(b'{"words":['), *(identifiers.feed(word) for _ in range(1000))]
    assert b'{"words":[' + word * 999 + word[:-1] == b"".join(passed)
    assert b',{}],"a":1}' == identifiers.feed(b'{}],"token_id":12') + identifiers.feed(b'3,"a":1}')
