"""The company of the pictures: its teams, what they transcribe and ask, and what they may spend."""

from __future__ import annotations

from dataclasses import dataclass

SPEAKERS, ENTITIES, MOOD, CHAPTERS = (
    "speaker_labels",
    "entity_detection",
    "sentiment_analysis",
    "auto_chapters",
)
PII, TOPICS, SUMMARY, TERMS = "redact_pii", "iab_categories", "summarization", "keyterms_prompt"
TRANSLATION = "speech_understanding.translation"

SONNET, HAIKU, GPT, MINI = "claude-sonnet-4-6", "claude-haiku-4-5-20251001", "gpt-5.1", "gpt-5-mini"
PRO, FLASH = "gemini-2.5-pro", "gemini-2.5-flash"


@dataclass(frozen=True)
class Maker:
    """A team: what it does on a working day in November.

    `minutes` is how short and how long its recordings are, `eu` the share of its work that stays there,
    `add_ons` how likely each is, `growth` what it does more in a month than in the one before. Budgets are
    dollars a month; its `keys` are used from the first on, ever less.
    """

    name: str
    jobs: int
    minutes: tuple[int, int]
    chats: int
    models: tuple[str, ...]
    add_ons: dict[str, float]
    tags: tuple[str, ...]
    keys: tuple[str, ...]
    budget: int | None
    eu: float = 0.0
    speech: str = "universal-3-5-pro"
    channels: int = 1
    weekend: float = 0.05
    growth: float = 1.12
    rpm: int | None = 600
    jobs_at_once: int | None = 20

    @property
    def is_eu_only(self) -> bool:
        """Whether it is bound to the EU."""
        return self.eu == 1.0


COMPANY = (
    Maker("Customer care", 62, (4, 19), 14, (HAIKU, SONNET), {MOOD: 0.9, PII: 0.55, SUMMARY: 0.3},
          ("phone", "complaints", "pilot-q4"), ("care-crm", "care-quality"), 200,
          eu=0.35, channels=2, weekend=0.45),
    Maker("Newsroom", 19, (15, 85), 34, (SONNET, GPT, HAIKU),
          {SPEAKERS: 0.8, ENTITIES: 0.25, CHAPTERS: 0.15},
          ("interviews", "press-briefings", "elections"), ("newsroom-desk", "newsroom-cms", "newsroom-ada"),
          150, eu=0.2, weekend=0.5),
    Maker("Broadcast", 21, (24, 58), 6, (HAIKU,), {CHAPTERS: 0.7, SPEAKERS: 0.9, TOPICS: 0.3},
          ("subtitles", "archive"), ("broadcast-subtitles", "broadcast-night"), 150,
          weekend=0.8, growth=1.02),
    Maker("Podcasts", 9, (28, 95), 12, (SONNET, PRO), {SPEAKERS: 0.95, CHAPTERS: 0.9, SUMMARY: 0.4},
          ("show-notes", "back-catalogue"), ("podcasts-studio",), 75, weekend=0.2, growth=1.3),
    Maker("Field studies", 11, (35, 110), 9, (SONNET,), {SPEAKERS: 1.0, ENTITIES: 0.3, TRANSLATION: 0.35},
          ("wave-7", "interviews"), ("field-upload", "field-coding"), 90, eu=1.0, speech="universal-3-pro"),
    Maker("Sales calls", 30, (8, 42), 21, (GPT, MINI), {SPEAKERS: 0.6, MOOD: 0.6, TERMS: 0.4},
          ("emea", "demo-calls"), ("sales-crm",), 120, eu=0.3, channels=2, growth=1.2),
    Maker("Legal", 3, (40, 180), 11, (SONNET, PRO), {SPEAKERS: 1.0, PII: 0.9},
          ("hearings",), ("legal-vault",), 60, eu=1.0, growth=0.95, jobs_at_once=4),
    Maker("Research", 8, (20, 80), 41, (SONNET, GPT, PRO, FLASH), {SPEAKERS: 0.7, ENTITIES: 0.5},
          ("wave-7", "pilot-q4"), ("research-notebook", "research-batch"), None, eu=0.4, rpm=None),
    Maker("Accessibility", 13, (6, 50), 3, (HAIKU,), {SPEAKERS: 0.4},
          ("captions",), ("captions-bot",), 30, eu=0.25, speech="universal-2", weekend=0.3),
    Maker("Quality", 16, (4, 20), 8, (MINI,), {MOOD: 0.8, "content_safety": 0.2},
          ("samples",), ("quality-samples",), 40, channels=2),
    Maker("Training", 2, (30, 90), 7, (HAIKU, FLASH), {CHAPTERS: 0.6}, ("courses",), ("training-lms",), 20,
          weekend=0.0),
    Maker("Product", 4, (25, 60), 24, (SONNET, GPT), {SPEAKERS: 1.0, SUMMARY: 0.5},
          ("user-tests", "pilot-q4"), ("product-notes",), 60, eu=0.5, weekend=0.0, growth=1.25),
    Maker("Archive", 7, (20, 60), 0, (HAIKU,), {SPEAKERS: 0.2},
          ("digitised-tapes",), ("archive-robot",), None,
          speech="universal-2", weekend=0.9, growth=1.0, rpm=None, jobs_at_once=None),
)  # fmt: skip
