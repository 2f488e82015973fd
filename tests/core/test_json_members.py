from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.json_members import with_members

leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
names = st.sampled_from(["webhook_url", "audio_url", "a", ""]) | st.text()
objects = st.dictionaries(names, values, max_size=5)


@given(objects, objects, st.sampled_from([None, 0, 3]), st.booleans())
def test_the_object_has_these_members_besides_its_own(given, members, indent, ascii_only):
    body = json.dumps(given, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        body.decode()
    except UnicodeDecodeError:
        return
    assert {**given, **members} == json.loads(with_members(body, members))


def test_every_other_byte_stays():
    body = b'\n{ "a" :1.10e2,"webhook\\u005furl":  "x" , "b":{"webhook_url":"y","c":[ ]},"\xc3\xa9":0.1000}\t'
    expected = body.replace(b'"x"', b'"z"').replace(b"0.1000}", b'0.1000, "n": null}')
    assert expected == with_members(body, {"webhook_url": "z", "n": None})
    assert b'{"n": 1}' == with_members(b"{}", {"n": 1})
