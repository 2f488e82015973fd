"""A long transcript in portions that a chat model reads one at a time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aai_gateway.core.token_estimates import estimated_tokens
from aai_gateway.quotes.windows import Sentence

PORTION_TOKENS = 8_000
"""The most that a portion holds: a quarter of the smallest context window of LLM Gateway's models, 32,768
tokens, and an hour of speech is two of them. In longer prompts models overlook what is in the middle."""
SHARED = 3
"""Sentences at a portion's end that the next one begins with, so that no quote is cut in two."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Consecutive sentences of a transcript."""

    sentences: tuple[Sentence, ...]

    @property
    def start(self) -> int:
        """Where it begins, in ms."""
        return self.sentences[0].start

    @property
    def end(self) -> int:
        """Where it ends, in ms."""
        return max(sentence.end for sentence in self.sentences)

    @property
    def script(self) -> str:
        """Its text: `Speaker A: …`, a line for each turn, or one line where nobody is told apart."""
        lines: list[str] = []
        speaker: str | None = None
        for number, sentence in enumerate(self.sentences):
            if number and sentence.speaker == speaker:
                lines[-1] += f" {sentence.text}"
            else:
                lines.append(f"{_label(sentence.speaker)}{sentence.text}")
            speaker = sentence.speaker
        return "\n".join(lines)


def portions(
    sentences: Sequence[Sentence], *, tokens: int = PORTION_TOKENS, shared: int = SHARED
) -> list[Portion]:
    """The fewest portions of about `tokens` at most, all of much the same length; none of no sentences."""
    sizes = [estimated_tokens(sentence.text) for sentence in sentences]
    whole = sum(sizes)
    count = max(1, -(-whole // tokens))
    begins = [0]
    passed = 0
    for number, size in enumerate(sizes):
        if len(begins) < count and passed >= whole * len(begins) / count:
            begins.append(number)
        passed += size
    ends = [min(begin + shared, len(sentences)) for begin in begins[1:]] + [len(sentences)]
    return [
        Portion(tuple(sentences[begin:end])) for begin, end in zip(begins, ends, strict=True) if begin < end
    ]


def _label(speaker: str | None) -> str:
    if speaker is None:
        return ""
    # Diarization gives A, B, …; speaker identification gives names or roles, which stand for themselves.
    return f"Speaker {speaker}: " if len(speaker) <= 2 else f"{speaker}: "
