"""Exports of a completed transcript: sentences, paragraphs, captions, word search.

Each is a pure function of the transcript's body. Times are ms. Source: AssemblyAI documentation, the pages
of the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aai_gateway.emulator.sample_audio import Word
from aai_gateway.emulator.wording import bare, joined, paragraphs, sentences, span_json, words_of

_CHARS_PER_CAPTION = 128


def _head(body: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "confidence", "audio_duration", "speech_model_used")
    return {name: body[name] for name in names}


def sentences_of(body: dict[str, Any]) -> dict[str, Any]:
    """`GET …/sentences`."""
    return {"sentences": [span_json(part) for part in sentences(words_of(body))], **_head(body)}


def paragraphs_of(body: dict[str, Any]) -> dict[str, Any]:
    """`GET …/paragraphs`; its items have no speaker."""
    return {
        "paragraphs": [span_json(part, speaker=False) for part in paragraphs(words_of(body))],
        **_head(body),
    }


def word_search(body: dict[str, Any], terms: Sequence[str]) -> dict[str, Any]:
    """`GET …/word-search`: where each term (one word or several, any case) is said; terms not said are left
    out.
    """
    words = words_of(body)
    plain = [bare(word.text) for word in words]
    matches = [match for term in terms if (match := _match(term, words, plain))]
    return {"id": body["id"], "total_count": sum(match["count"] for match in matches), "matches": matches}


def _match(term: str, words: Sequence[Word], plain: list[str]) -> dict[str, Any] | None:
    parts = [bare(part) for part in term.split()]
    size = len(parts)
    indexes = [
        index for index in range(len(plain) - size + 1) if parts and plain[index : index + size] == parts
    ]
    if not indexes:
        return None
    timestamps = [[words[index].start, words[index + size - 1].end] for index in indexes]
    return {"text": " ".join(parts), "count": len(indexes), "timestamps": timestamps, "indexes": indexes}


def srt(body: dict[str, Any], chars_per_caption: int | None) -> str:
    """`GET …/srt`."""
    captions = _captions(words_of(body), chars_per_caption or _CHARS_PER_CAPTION)
    return "".join(
        f"{number}\n{_clock(part[0].start, ',')} --> {_clock(part[-1].end, ',')}\n{joined(part)}\n\n"
        for number, part in enumerate(captions, 1)
    )


def vtt(body: dict[str, Any], chars_per_caption: int | None) -> str:
    """`GET …/vtt`."""
    captions = _captions(words_of(body), chars_per_caption or _CHARS_PER_CAPTION)
    return "WEBVTT\n\n" + "".join(
        f"{_short_clock(part[0].start)} --> {_short_clock(part[-1].end)}\n{joined(part)}\n\n"
        for part in captions
    )


CAPTIONS: dict[str, Callable[[dict[str, Any], int | None], str]] = {"srt": srt, "vtt": vtt}


def _captions(words: Sequence[Word], most: int) -> list[list[Word]]:
    """Words in captions of at most `most` characters (a longer word stands alone); a sentence starts a new
    one.
    """
    out: list[list[Word]] = []
    for sentence in sentences(words):
        out.append([])
        for word in sentence:
            if out[-1] and len(joined(out[-1])) + 1 + len(word.text) > most:
                out.append([])
            out[-1].append(word)
    return out


def _clock(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{ms:03}"


def _short_clock(ms: int) -> str:
    full = _clock(ms, ".")
    return full if ms >= 3_600_000 else full[3:]
