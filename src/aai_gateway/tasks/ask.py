"""Ask a question about a transcript, or use a preset prompt.

Presets: AssemblyAI documentation, guide "Apply LLM Gateway to audio transcripts". `{{ transcript }}` puts in
the text alone, without speakers; where a transcript has utterances, they are written out in the prompt
instead, so that the model knows who said what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import yaml

from aai_gateway.chat_client import ChatAnswer, ChatClient, about_text, about_transcript
from aai_gateway.errors import ConfigurationError
from aai_gateway.strict_yaml import load_strictly

PRESETS = {
    "summary": "Provide a brief summary of the transcript.",
    "feedback": "Provide an analysis of the transcript and offer areas to improve with exact quotes.",
    "takeaway": "What's the main take-away from the transcript?",
    "action-items": "Generate a set of action items from this transcript.",
}


class SpokenTurn(Protocol):
    """What an utterance has (`assemblyai.Utterance`): speech by one speaker or on one channel."""

    @property
    def speaker(self) -> str | None: ...
    @property
    def channel(self) -> str | None: ...
    @property
    def text(self) -> str: ...


def load_presets(path: Path) -> dict[str, str]:
    """The guide's presets and those of a YAML file, which may replace them: names and their prompts.

    Raises ConfigurationError for a file that is not such a mapping.
    """
    try:
        data = load_strictly(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"The presets in {path} cannot be read: {reason}") from None
    if not isinstance(data, dict) or not data:
        raise ConfigurationError(f"The presets in {path} must be a mapping of names to prompts.")
    for name, prompt in data.items():
        # YAML reads a bare No, Yes, On or 2026 as something else than text.
        if not isinstance(name, str) or not isinstance(prompt, str) or not prompt.strip():
            raise ConfigurationError(f"In the presets of {path}, {name!r} and its prompt must be text.")
    return {**PRESETS, **data}


def preset(name: str, presets: Mapping[str, str] = PRESETS) -> str:
    """The prompt of a preset. Raises ConfigurationError for a name that there is not."""
    if name not in presets:
        raise ConfigurationError(f"There is no preset {name!r}: use {', '.join(presets)}.")
    return presets[name]


def ask(
    question: str,
    transcript_id: str,
    *,
    chat: ChatClient,
    turns: Iterable[SpokenTurn] = (),
    max_tokens: int = 1000,
    on_text: Callable[[str], None] | None = None,
) -> ChatAnswer:
    """The model's answer to a question about a transcript; with `on_text` each piece of it as it comes.

    With `turns` (the transcript's utterances) the prompt carries the speakers; without, AssemblyAI puts the
    transcript's text in. A question may say where with `{{ transcript }}`. Raises ConfigurationError for an
    empty question, Refused, UpstreamFailed, ModelAnswerError.
    """
    if not question.strip():
        raise ConfigurationError("The question is empty.")
    prompt = about_transcript(question.strip())
    spoken = by_speaker(turns)
    if spoken:
        prompt = about_text(question.strip(), spoken)
        return chat.complete([{"role": "user", "content": prompt}], max_tokens=max_tokens, on_text=on_text)
    return chat.complete(
        [{"role": "user", "content": prompt}],
        max_tokens=max_tokens,
        transcript_id=transcript_id,
        on_text=on_text,
    )


def by_speaker(turns: Iterable[SpokenTurn]) -> str:
    """`Speaker A: …`, a line for each turn; `Channel 1: …` where only the channel is known."""
    return "\n".join(f"{_name(turn)}: {turn.text.strip()}" for turn in turns if turn.text.strip())


def _name(turn: SpokenTurn) -> str:
    if turn.speaker is not None:
        # Diarization gives A, B, …; speaker identification gives names or roles, which stand for themselves.
        return f"Speaker {turn.speaker}" if len(turn.speaker) <= 2 else turn.speaker
    return f"Channel {turn.channel}" if turn.channel is not None else "Speaker"
