"""Speech understanding of words that were heard: speakers named, text translated, formatted, summarized.

Field names: AssemblyAI's LLM Gateway specification (LLMGatewayTranslationResponse and its siblings). It
computes with plain rules: speakers are named in the order in which they speak, a translation is the text
marked with its language, and only phone numbers and dates that are written out are formatted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from aai_gateway.emulator import analysis
from aai_gateway.emulator.entities import find_entities
from aai_gateway.emulator.sample_audio import Word
from aai_gateway.emulator.wording import joined, span_json, turns

Json = dict[str, Any]

_DATE_PARTS = (("yyyy", "%Y"), ("yy", "%y"), ("mm", "%m"), ("dd", "%d"))


def understood(request: Mapping[str, Any], words: Sequence[Word]) -> tuple[list[Word], Json]:
    """The words with their speakers named, and what answers a `speech_understanding.request`.

    That is `speech_understanding` with the `response` of each task, and `translated_texts`; nothing when
    nothing was asked.
    """
    response: Json = {}
    extra: Json = {}
    shown = list(words)
    if identify := request.get("speaker_identification"):
        mapping = _speaker_names(identify, shown)
        shown = [_renamed(word, mapping) for word in shown]
        response["speaker_identification"] = {"status": "success", "mapping": mapping}
    if translate := request.get("translation"):
        extra["translated_texts"] = translations(translate, joined(shown))
        response["translation"] = {"status": "success"}
    if formats := request.get("custom_formatting"):
        mapping = dict(_formatted(formats, shown))
        text = _replaced(joined(shown), mapping)
        response["custom_formatting"] = {"status": "success", "mapping": mapping, "formatted_text": text}
    if (summarize := request.get("summarization")) is not None:
        response["summarization"] = _sections(shown, str(summarize.get("summary_type") or "bullets"))
    if response:
        extra["speech_understanding"] = {"request": request, "response": response}
    return shown, extra


def understood_later(request: Mapping[str, Any], words: Sequence[Word], *, told_apart: bool) -> Json:
    """The answer of `POST /v1/understanding`; `told_apart` says that the transcript has utterances."""
    shown, answer = understood(request, words)
    utterances: list[Json] | None = [span_json(turn) for turn in turns(shown)] if told_apart else None
    translate = request.get("translation") or {}
    if translate.get("match_original_utterance"):
        for utterance in utterances or ():
            utterance["translated_texts"] = translations(translate, utterance["text"])
    response = answer["speech_understanding"]["response"]
    if utterances and "custom_formatting" in response:
        mapping = response["custom_formatting"]["mapping"]
        response["custom_formatting"]["formatted_utterances"] = [
            {name: utterance[name] for name in ("confidence", "start", "end", "speaker")}
            | {"text": _replaced(utterance["text"], mapping)}
            for utterance in utterances
        ]
    return {**answer, "utterances": utterances}


def translations(translate: Mapping[str, Any], text: str) -> dict[str, str]:
    """`text` in each of the target languages, marked and not translated."""
    return {language: f"[{language}] {text}" for language in translate.get("target_languages") or []}


def _speaker_names(identify: Mapping[str, Any], words: Sequence[Word]) -> dict[str, str]:
    names = identify.get("known_values") or [
        str(speaker.get("name") or speaker.get("role")) for speaker in identify.get("speakers") or []
    ]
    labels = list(dict.fromkeys(word.speaker for word in words if word.speaker))
    return dict(zip(labels, names, strict=False))


def _renamed(word: Word, mapping: dict[str, str]) -> Word:
    speaker = mapping.get(word.speaker or "", word.speaker or "")
    return replace(word, speaker=speaker or None)


def _formatted(formats: Mapping[str, Any], words: Sequence[Word]) -> Iterator[tuple[str, str]]:
    """What is said, and how it is to be written, where the two differ."""
    for entity in find_entities(words):
        pattern = formats.get(entity.kind)
        if not isinstance(pattern, str):
            continue
        text = entity.text.strip(".,?!")
        written = _phone_number(text, pattern) if entity.kind == "phone_number" else _date(text, pattern)
        if written not in (None, text):
            yield text, str(written)


def _phone_number(text: str, pattern: str) -> str | None:
    digits = re.sub(r"\D", "", text)[-pattern.count("x") :]
    if len(digits) != pattern.count("x"):
        return None
    left = iter(digits)
    return re.sub("x", lambda _: next(left), pattern)


def _date(text: str, pattern: str) -> str | None:
    plain = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b|,", "", text)
    try:
        day = datetime.strptime(plain, "%B %d %Y")
    except ValueError:
        return None
    for letters, code in _DATE_PARTS:
        pattern = pattern.replace(letters, day.strftime(code))
    return pattern


def _replaced(text: str, mapping: Mapping[str, str]) -> str:
    for said, written in mapping.items():
        text = text.replace(said, written)
    return text


def _sections(words: Sequence[Word], kind: str) -> Json:
    sections = []
    for chapter in analysis.chapters(words):
        section = {"start": chapter["start"], "end": chapter["end"], "headline": chapter["headline"]}
        key, value = (
            ("text", chapter["summary"]) if kind == "paragraph" else ("bullets", [chapter["summary"]])
        )
        sections.append(section | {key: value})
    return {"status": "success", "summary": sections, "summary_type": kind, "effort": "low"}
