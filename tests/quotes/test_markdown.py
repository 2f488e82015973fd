from __future__ import annotations

from aai_gateway.quotes.markdown import escaped, to_markdown
from aai_gateway.quotes.passages import Quote


def quoted(text: str, speakers: tuple[str, ...] = ("Ana",)) -> Quote:
    return Quote("t-1", "us", 612_000, 3_726_400, text, speakers, 0.9, 3, 4)


def test_a_quote_says_who_and_when():
    assert "> “We lost it.”\n>\n> — Ana, 10:12–1:02:06\n" == to_markdown([quoted("We lost it.")])


def test_a_title_and_the_transcripts_are_told_when_asked_for():
    text = to_markdown([quoted("One."), quoted("Two.", ())], "Hearing", with_transcript=True)
    assert text.startswith("# Hearing\n\n> “One.”")
    assert text.endswith("> — 10:12–1:02:06, `t-1`\n")


def test_no_quotes_are_nothing():
    assert "" == to_markdown([])


def test_what_was_said_is_never_markup():
    said = "<script>alert(1)</script> *not* _em_ [a](b) `c` # d ![e](f) &amp;"
    text = escaped(said)
    assert r"\<script\>" in text
    for special in "<>*_[]`#!&":
        assert text.count(special) == text.count(f"\\{special}")


def test_a_number_or_a_dash_begins_no_list():
    assert r"1987\. That was it" == escaped("1987. That was it")
    assert r"\- so" == escaped("- so")
