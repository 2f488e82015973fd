"""From heard words to a transcript's text, words, sentences, paragraphs and utterances.

All positions are ms; every rule here is the emulator's own and works on the words that were heard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from aai_gateway.emulator.sample_audio import Heard, Word

_FILLERS = {"um", "uh", "er", "ah", "hmm", "mhm", "uh-huh", "huh"}
_PROFANITIES = {"damn", "hell", "shit", "fuck", "fucking", "crap", "bastard", "bitch", "ass", "asshole"}
_EDGES = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)
_PARAGRAPH_SENTENCES = 5
_PARAGRAPH_PAUSE_MS = 2_000


def word_list(text: str) -> tuple[str, ...]:
    """Words written with spaces between, as a tuple: how the lists of this package stay readable."""
    return tuple(text.split())


def bare(text: str) -> str:
    """A word in lower case, without the punctuation around it."""
    return _EDGES.sub(r"\2", text).lower()


def recase(original: str, new: str) -> str:
    """`new` with the punctuation that surrounds `original`."""
    before, _, after = _EDGES.match(original).groups()  # type: ignore[union-attr]  # it matches any text
    return f"{before}{new}{after}"


def joined(words: Iterable[Word]) -> str:
    """The words as running text."""
    return " ".join(word.text for word in words)


def confidence(words: Sequence[Word]) -> float:
    """The mean confidence of some words, 0 for none."""
    return round(sum(word.confidence for word in words) / len(words), 6) if words else 0.0


def wanted_words(heard: Heard, request: dict[str, Any]) -> list[Word]:
    """The words that a request gets, by its options on range, speakers, fillers, spelling, profanity and
    format.
    """
    start, end = request.get("audio_start_from") or 0, request.get("audio_end_at")
    words = [word for word in heard.words if word.start >= start and (end is None or word.end <= end)]
    words = _labelled(words, heard, request)
    if not request.get("disfluencies"):
        words = _without_fillers(words)
    words = _respelled(words, request.get("custom_spelling") or [])
    if request.get("filter_profanity"):
        words = [_masked(word) for word in words]
    if request.get("format_text") is False:
        words = [replace(word, text=word.text.lower()) for word in words]
    if request.get("punctuate") is False:
        words = [replace(word, text=_EDGES.sub(r"\2", word.text)) for word in words]
    return words


def _labelled(words: list[Word], heard: Heard, request: dict[str, Any]) -> list[Word]:
    """Speakers and channels as asked: multichannel gives "1", "2"…; speaker_labels "A", "B"…; else none."""
    if request.get("multichannel") or request.get("dual_channel"):
        return [replace(word, speaker=word.channel or "1", channel=word.channel or "1") for word in words]
    if not request.get("speaker_labels"):
        return [replace(word, speaker=None, channel=None) for word in words]
    options = request.get("speaker_options") or {}
    most = request.get("speakers_expected") or options.get("max_speakers_expected") or 26
    last = chr(ord("A") + min(int(most), 26) - 1)
    return [replace(word, speaker=min(word.speaker or "A", last), channel=None) for word in words]


def _without_fillers(words: list[Word]) -> list[Word]:
    kept: list[Word] = []
    capital = False
    for word in words:
        if bare(word.text) in _FILLERS:
            capital = capital or word.text[:1].isupper()
            continue
        kept.append(replace(word, text=word.text[:1].upper() + word.text[1:]) if capital else word)
        capital = False
    return kept


def _respelled(words: list[Word], spellings: list[dict[str, Any]]) -> list[Word]:
    """`custom_spelling`: each `from` (one word or several, any case) becomes its `to`."""
    for spelling in spellings:
        sources = spelling["from"] if isinstance(spelling["from"], list) else [spelling["from"]]
        for source in sources:
            words = _replaced(words, [bare(part) for part in source.split()], spelling["to"])
    return words


def _replaced(words: list[Word], source: list[str], target: str) -> list[Word]:
    out: list[Word] = []
    index = 0
    while index < len(words):
        span = words[index : index + len(source)]
        if source and [bare(word.text) for word in span] == source:
            out.append(replace(span[0], text=recase(span[-1].text, target), end=span[-1].end))
            index += len(source)
        else:
            out.append(words[index])
            index += 1
    return out


def _masked(word: Word) -> Word:
    plain = bare(word.text)
    if plain not in _PROFANITIES:
        return word
    return replace(word, text=recase(word.text, plain[0] + "*" * (len(plain) - 1)))


def sentences(words: Sequence[Word]) -> list[list[Word]]:
    """Words in sentences: one ends at a full stop, question or exclamation mark, or where the speaker
    changes.
    """
    out: list[list[Word]] = []
    for word in words:
        if out and out[-1][-1].speaker == word.speaker and not out[-1][-1].text.endswith((".", "?", "!")):
            out[-1].append(word)
        else:
            out.append([word])
    return out


def paragraphs(words: Sequence[Word]) -> list[list[Word]]:
    """Words in paragraphs: up to five sentences of one speaker without a long pause."""
    out: list[list[Word]] = []
    count = 0
    for sentence in sentences(words):
        near = out and sentence[0].start - out[-1][-1].end < _PARAGRAPH_PAUSE_MS
        if near and out[-1][-1].speaker == sentence[0].speaker and count < _PARAGRAPH_SENTENCES:
            out[-1].extend(sentence)
            count += 1
        else:
            out.append(list(sentence))
            count = 1
    return out


def turns(words: Sequence[Word]) -> list[list[Word]]:
    """Words in turns: one ends where the speaker changes."""
    out: list[list[Word]] = []
    for word in words:
        if out and out[-1][-1].speaker == word.speaker:
            out[-1].append(word)
        else:
            out.append([word])
    return out


def word_json(word: Word) -> dict[str, Any]:
    """A word as in a transcript's `words`; `channel` only for a multichannel file."""
    out: dict[str, Any] = {
        "text": word.text,
        "start": word.start,
        "end": word.end,
        "confidence": word.confidence,
        "speaker": word.speaker,
    }
    if word.channel is not None:
        out["channel"] = word.channel
    return out


def span_json(words: Sequence[Word], *, speaker: bool = True) -> dict[str, Any]:
    """A sentence, paragraph or utterance: its text, bounds, confidence and words (and speaker)."""
    out: dict[str, Any] = {
        "text": joined(words),
        "start": words[0].start,
        "end": words[-1].end,
        "confidence": confidence(words),
        "words": [word_json(word) for word in words],
    }
    if speaker:
        out["speaker"] = words[0].speaker
        if words[0].channel is not None:
            out["channel"] = words[0].channel
    return out


def words_of(body: dict[str, Any]) -> list[Word]:
    """The words of a completed transcript's body."""
    return [Word(**word) for word in body["words"] or ()]
