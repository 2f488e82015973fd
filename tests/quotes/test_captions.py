from __future__ import annotations

import re
from itertools import pairwise

import pytest

from aai_gateway.quotes.captions import LINE, LINES, Caption, captions_of, to_srt, to_vtt
from aai_gateway.quotes.passages import Quote
from aai_gateway.quotes.windows import Sentence, Word

LONG = (
    "The pump had been repaired eleven times before anyone asked why it was built so far "
    "below the level that the river reaches every spring, and by then it was too late."
)


def spoken(text: str, start: int, speaker: str | None = "A", index: int = 0) -> Sentence:
    words = tuple(
        Word(word, start + 400 * place, start + 400 * place + 350) for place, word in enumerate(text.split())
    )
    return Sentence(index, text, start, words[-1].end, speaker, words)


def quote_of(*said: Sentence) -> Quote:
    text = " ".join(one.text for one in said)
    speakers = tuple(dict.fromkeys(one.speaker for one in said if one.speaker))
    return Quote("t-1", "us", said[0].start, said[-1].end, text, speakers, 1.0, said[0].index, said[-1].index)


def test_a_long_quote_is_cut_between_words_and_loses_none():
    sentence = spoken(LONG, 5000)
    captions = captions_of([quote_of(sentence)], [sentence])
    assert len(captions) > 1
    assert LONG == " ".join(caption.text for caption in captions).replace("\n", " ")
    for caption in captions:
        lines = caption.text.split("\n")
        assert len(lines) <= LINES
        assert all(len(line) <= LINE for line in lines)
    assert (sentence.start, sentence.end) == (captions[0].start, captions[-1].end)
    assert all(one.end <= other.start for one, other in pairwise(captions))


def test_captions_follow_the_recording_not_the_rank():
    sentences = [spoken("Later words.", 9000, index=1), spoken("First words.", 1000, index=0)]
    quotes = [quote_of(sentences[0]), quote_of(sentences[1])]
    assert [1000, 9000] == [c.start for c in captions_of(quotes, sentences[::-1])]


def test_only_the_quoted_words_of_a_sentence_are_shown():
    sentence = spoken("Well it was never about the money at all.", 0)
    words = sentence.words[1:]
    quote = Quote("t", "us", words[0].start, words[-1].end, "it was never", ("A",), 1.0, 0, 0)
    [caption] = captions_of([quote], [sentence])
    assert "it was never about the money at all." == caption.text
    assert 400 == caption.start


def test_no_caption_has_a_third_line_or_one_that_is_too_wide():
    german = spoken("Die Geschwindigkeitsbegrenzungsverordnung der Straßenverkehrsbehörde gilt " * 3, 0)
    letters = "今天天气很好我们去公园" * 9
    words = tuple(Word(letter, 100 * place, 100 * place + 90) for place, letter in enumerate(letters))
    chinese = Sentence(0, letters, 0, words[-1].end, "A", words)
    for sentence, widest in ((german, LINE), (chinese, LINE // 2)):
        captions = captions_of([quote_of(sentence)], [sentence])
        lines = [caption.text.split("\n") for caption in captions]
        assert max(map(len, lines)) <= LINES
        assert max(len(line) for several in lines for line in several) <= widest
        assert "".join(sentence.text.split()) == "".join("".join(one.text.split()) for one in captions)


def test_words_that_follow_each_other_without_a_space_are_shown_so():
    words = tuple(Word(letter, 100 * place, 100 * place + 90) for place, letter in enumerate("今天很好。"))
    sentence = Sentence(0, "今天很好。", 0, 490, None, words)
    [caption] = captions_of([Quote("t", "us", 0, 490, "今天很好。", (), 1.0, 0, 0)], [sentence])
    assert "今天很好。" == caption.text


def test_a_sentence_without_words_is_one_caption():
    sentence = Sentence(0, LONG, 100, 9000, "B")
    [caption] = captions_of([quote_of(sentence)], [sentence])
    assert (100, 9000, "B") == (caption.start, caption.end, caption.speaker)


def test_srt_is_numbered_and_names_a_speaker_once():
    captions = [Caption(0, 1500, "One.", "A"), Caption(1500, 3_723_004, "Two.", "A"), Caption(1, 2, "x", "B")]
    assert (
        "1\n00:00:00,000 --> 00:00:01,500\nA: One.\n\n2\n00:00:01,500 --> 01:02:03,004\nTwo.\n\n"
        "3\n00:00:00,001 --> 00:00:00,002\nB: x\n"
    ) == to_srt(captions)


def test_vtt_takes_no_markup_from_what_was_said():
    text = to_vtt([Caption(0, 1500, "a < b --> c & <i>d</i>", "A>B")])
    assert text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n")
    assert "<v A&gt;B>a &lt; b --&gt; c &amp; &lt;i&gt;d&lt;/i&gt;\n" in text
    assert 1 == len(re.findall("-->", text))


@pytest.mark.parametrize("write", [to_srt, to_vtt])
def test_a_name_cannot_end_a_caption(write):
    text = write([Caption(0, 1500, "One.", "Ana\n\n2\nBen")])
    assert "Ana 2 Ben" in text
    assert 1 == len(re.findall(r"\n\n", text.removeprefix("WEBVTT\n\n").rstrip() + "\n\n"))


@pytest.mark.parametrize(("write", "empty"), [(to_srt, ""), (to_vtt, "WEBVTT\n")])
def test_no_quotes_are_no_captions(write, empty):
    assert empty == write(captions_of([], []))
