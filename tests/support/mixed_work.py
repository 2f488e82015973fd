"""Jobs and completions of every priced kind, for several teams: the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HELLO, STEREO = "https://example.org/audio.wav", "https://example.com/audio.mp3"
INTERVIEW, BRIEFING = "https://assembly.ai/wildfires.mp3", "https://assembly.ai/sports_injuries.mp3"
MISSING = "https://audio.invalid/missing.mp3"
SPEECH_MODELS: tuple[dict[str, Any], ...] = (
    {},
    {"speech_models": ["universal-3-5-pro", "universal-2"]},
    {"speech_models": ["universal-3-pro", "universal-2"]},
    {"speech_models": ["universal-2"]},
    {"speech_model": "best"},
    {"speech_model": "nano"},
    {"speech_model": "slam-1"},
)
ADD_ONS: tuple[dict[str, Any], ...] = (
    {"speaker_labels": True},
    {"entity_detection": True},
    {"sentiment_analysis": True},
    {"auto_chapters": True},
    {"auto_highlights": True},
    {"iab_categories": True},
    {"summarization": True},
    {"domain": "medical-v1"},
    {"keyterms_prompt": ["Harbor Radio"]},
    {"prompt": "Verbatim."},
    {"filter_profanity": True},
    {"redact_pii": True},
    {"content_safety": True},
    {"speech_understanding": {"request": {"translation": {"target_languages": ["es"]}}}},
    {
        "speaker_labels": True,
        "speech_understanding": {"request": {"speaker_identification": {"speaker_type": "name"}}},
    },
    {"speech_understanding": {"request": {"custom_formatting": {"date": "mm/dd/yyyy"}}}},
)
"""Every priced option by itself; `redact_pii_audio` makes a new file of each job and comes now and then."""

UNKNOWN: tuple[dict[str, Any], ...] = (
    {"domain": "legal-v9"},
    {"speech_understanding": {"request": {"summarization": {"style": "short"}}}},
)
"""What no price list has, and both sides charge at the same stated fallback."""

CLAUDE, GPT, GEMINI = "claude-sonnet-4-6", "gpt-5", "gemini-2.5-flash"
US_MODELS = (
    CLAUDE,
    GPT,
    GEMINI,
    "claude-haiku-4-5-20251001",
    "gpt-5-nano",
    "gpt-4.1",
    "gemma-4-31b",
    "gpt-oss-20b",
)
EU_MODELS = (CLAUDE, GEMINI, "claude-haiku-4-5-20251001", "gemini-2.5-pro")
NOT_STREAMED = ("gpt-oss-20b",)
DOWN = "gpt-5.1"
"""A model whose provider is down: AssemblyAI's own `fallbacks` answer for it."""
UNPRICED = "nova-1"
"""A model that AssemblyAI serves and no price book knows."""
LONG = "All work and no play makes a long prompt. " * 60


@dataclass(frozen=True)
class Job:
    """One submission; `marker` is its end user. `upload` names a sample to upload instead of a URL."""

    marker: str
    region: str
    body: dict[str, Any]
    tags: tuple[str, ...]
    upload: str | None = None
    polls: bool = True


@dataclass(frozen=True)
class Chat:
    """One completion; `marker` is its end user."""

    marker: str
    body: dict[str, Any]
    tags: tuple[str, ...]
    on_transcript: bool = False
    """To be asked about a transcript of the team's."""


def jobs(seed: int, team: str, count: int) -> Iterator[Job]:
    """`count` jobs of a team."""
    chance = random.Random(f"{seed} jobs of {team}")
    for number in range(count):
        marker = f"{team}-job-{number}"
        options = _options(chance, number)
        if options.get("redact_pii") and chance.random() < 0.1:
            options["redact_pii_audio"] = True
        audio = STEREO if options.get("multichannel") else chance.choice((HELLO, INTERVIEW, BRIEFING, STEREO))
        audio = MISSING if chance.random() < 0.04 else audio
        upload = chance.choice(("hello", "stereo")) if chance.random() < 0.08 else None
        yield Job(
            marker,
            "eu" if chance.random() < 0.3 else "us",
            {"audio_url": f"{audio}?team={team}&n={number}&seed={seed}", **options},
            _tags(chance),
            upload,
            polls=chance.random() < 0.6,
        )


def _options(chance: random.Random, number: int) -> dict[str, Any]:
    """First each option by itself, then many together."""
    options = dict(SPEECH_MODELS[number % len(SPEECH_MODELS)])
    if number < len(ADD_ONS):
        options |= ADD_ONS[number]
    elif number < len(ADD_ONS) + len(UNKNOWN):
        options |= UNKNOWN[number - len(ADD_ONS)]
    else:
        for add_on in chance.sample(ADD_ONS, chance.choice((0, 0, 1, 2, 3, 6))):
            options |= add_on
    if options.get("auto_chapters"):
        options.pop("summarization", None)
    if chance.random() < 0.15:
        options[chance.choice(("multichannel", "multichannel", "dual_channel"))] = True
    if chance.random() < 0.1:
        options = {"speaker_labels": False, "content_safety": None, "punctuate": True, **options}
    return options


def chats(seed: int, team: str, count: int) -> Iterator[Chat]:
    """`count` completions of a team."""
    chance = random.Random(f"{seed} chats of {team}")
    for number in range(count):
        marker = f"{team}-chat-{number}"
        eu = chance.random() < 0.3
        model = chance.choice(EU_MODELS if eu else US_MODELS)
        body: dict[str, Any] = {
            "messages": [{"role": "user", "content": f"Repeat: {'fox ' * chance.randrange(60)}{marker}."}],
            "max_tokens": chance.choice((20, 200)),
        }
        if chance.random() < 0.3:
            body["model_region"] = "global"
        kind = number % 6
        if kind == 0:
            body["messages"] = [_cached(chance, team), *body["messages"]]
            model = CLAUDE
        elif kind == 1 and not eu:
            model = DOWN
            other = {"model": "gpt-5-mini", **chance.choice(({}, {"model_region": "global"}))}
            body |= {"fallbacks": [other], "fallback_config": {"retry": False}}
        elif kind == 2:
            model, eu = CLAUDE, False
            body["messages"] = [{"role": "user", "content": f"Summarize {{{{ transcript }}}} for {marker}"}]
        elif kind in (3, 4) and chance.random() < 0.3:
            model = UNPRICED
        if chance.random() < 0.35 and model not in NOT_STREAMED and model != DOWN:
            body["stream"] = True
        body["model"] = f"{'eu.' if eu else ''}assemblyai/{model}"
        yield Chat(marker, body, _tags(chance), on_transcript=kind == 2)


def _cached(chance: random.Random, team: str) -> dict[str, Any]:
    """A long prompt that is written to a prompt cache the first time, and read from it later."""
    control = {"type": "ephemeral", "ttl": chance.choice(("5m", "1h"))}
    text = f"{team} {chance.randrange(4)}. {LONG}"
    return {"role": "system", "content": [{"type": "text", "text": text, "cache_control": control}]}


def _tags(chance: random.Random) -> tuple[str, ...]:
    return tuple(chance.sample(("spring", "press", "archive"), chance.randrange(3)))
