"""The emulator's own invoice: what AssemblyAI would charge for what the emulator did.

It shares no price and no arithmetic with the gateway's price book, so a test that compares the two compares
two independent figures. Each line item is rounded to whole micro-dollars, half to even; a row is the sum of
its items. Prices: AssemblyAI documentation, "Pricing" pages read between 2026-05-29 and 2026-10-07.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from aai_gateway.emulator.catalogue import MODELS, Model

_UNKNOWN_MODEL_PRICE = "0.21"

# USD per hour of audio, by `speech_model_used`. `best` and `nano` are the old names of two of them.
_SPEECH_MODELS = {
    "universal-3-5-pro": "0.21",
    "universal-3-pro": "0.21",
    "universal-2": "0.15",
    "best": "0.21",
    "nano": "0.15",
}
# USD per hour of audio on top of the model, for options charged when their field is true or not empty.
_ADD_ONS = {
    "speaker_labels": "0.02",
    "entity_detection": "0.08",
    "sentiment_analysis": "0.02",
    "auto_chapters": "0.08",
    "auto_highlights": "0.01",
    "iab_categories": "0.15",
    "summarization": "0.03",
    "keyterms_prompt": "0.05",
    "prompt": "0.05",
    "filter_profanity": "0.01",
    "redact_pii": "0.08",
    "redact_pii_audio": "0.05",
    "content_safety": "0.15",
}
_UNDERSTANDING = {"speaker_identification": "0.02", "translation": "0.06", "custom_formatting": "0.03"}
_MEDICAL = "0.15"

Service = Literal["speech", "chat"]


@dataclass(frozen=True, slots=True)
class InvoiceItem:
    """One line: `quantity` units at `unit_price` USD per hour of audio or 1M tokens, rounded to `micros`."""

    name: str
    quantity: int
    unit: Literal["second", "token"]
    unit_price: str
    micros: int


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """One charge in micro-dollars: `id` is the id of a transcript or the request id of a chat completion."""

    id: str
    service: Service
    region: str
    model: str
    items: tuple[InvoiceItem, ...]
    micros: int
    charged_at: datetime


class Invoice:
    """All charges of one emulated account, in both regions."""

    def __init__(self) -> None:
        self.rows: list[InvoiceRow] = []
        self._charged: set[tuple[Service, str, str]] = set()

    def charge_transcript(self, region: str, transcript: dict[str, Any]) -> None:
        """Charge a completed transcript from its body, in which the requested options are echoed.

        Call it when the job completes. A job that is not completed costs nothing; a second call for the same
        id changes nothing.
        """
        if transcript.get("status") == "completed":
            model = str(transcript.get("speech_model_used"))
            self._add("speech", region, transcript["id"], model, tuple(_speech_items(transcript)))

    def charge_chat(
        self, region: str, request_id: str, model: str, usage: dict[str, Any], *, global_region: bool
    ) -> None:
        """Charge a completion that `model` answered, from its `usage` under either naming scheme.

        `global_region` says that the request asked for `model_region: "global"`, which has no surcharge. A
        second call for the same request id changes nothing. Raises `KeyError` for a model that is not in the
        catalogue.
        """
        items = tuple(_chat_items(MODELS[model], usage, global_region))
        self._add("chat", region, request_id, model, items)

    def total_micros(self, *, region: str | None = None, service: str | None = None) -> int:
        """The sum in micro-dollars, of one region or service where given."""
        return sum(
            row.micros for row in self.rows if region in (None, row.region) and service in (None, row.service)
        )

    def by_service(self) -> dict[str, int]:
        """Micro-dollars for each of `speech` and `chat`."""
        return {service: self.total_micros(service=service) for service in ("speech", "chat")}

    def to_json(self) -> dict[str, Any]:
        """The rows, oldest first, and the totals, as plain JSON values."""
        rows = [{**asdict(row), "charged_at": row.charged_at.isoformat()} for row in self.rows]
        regions = {
            region: self.total_micros(region=region) for region in sorted({row.region for row in self.rows})
        }
        totals = {"micros": self.total_micros(), "by_service": self.by_service(), "by_region": regions}
        return {"rows": rows, "totals": totals}

    def _add(
        self, service: Service, region: str, id_: str, model: str, items: tuple[InvoiceItem, ...]
    ) -> None:
        if (service, region, id_) in self._charged:
            return
        self._charged.add((service, region, id_))
        micros = sum(item.micros for item in items)
        self.rows.append(InvoiceRow(id_, service, region, model, items, micros, datetime.now(timezone.utc)))


def _speech_items(transcript: dict[str, Any]) -> Iterator[InvoiceItem]:
    """Model and add-ons, each per second of audio and channel; `audio_duration` does not count channels."""
    channels = transcript.get("audio_channels") or 1 if transcript.get("multichannel") else 1
    seconds = int(transcript.get("audio_duration") or 0) * int(channels)
    for name, price in _speech_prices(transcript):
        yield InvoiceItem(name, seconds, "second", price, round(Fraction(price) * seconds * 1_000_000 / 3600))


def _speech_prices(transcript: dict[str, Any]) -> Iterator[tuple[str, str]]:
    model = transcript.get("speech_model_used")
    if model in _SPEECH_MODELS:
        yield model, _SPEECH_MODELS[model]
    else:
        yield f"{model} (unknown model)", _UNKNOWN_MODEL_PRICE
    yield from ((field, price) for field, price in _ADD_ONS.items() if transcript.get(field))
    if transcript.get("domain") == "medical-v1":
        yield "domain=medical-v1", _MEDICAL
    requested = (transcript.get("speech_understanding") or {}).get("request") or {}
    for task, price in _UNDERSTANDING.items():
        if requested.get(task):
            yield f"speech_understanding.{task}", price


def _chat_items(model: Model, usage: dict[str, Any], global_region: bool) -> Iterator[InvoiceItem]:
    """Tokens by kind, each at its own price; kinds that did not occur have no line."""
    surcharge = 0 if global_region else model.surcharge
    for name, tokens, price in _chat_tokens(model, usage):
        if tokens:
            final = price * (1 + surcharge)
            yield InvoiceItem(
                name, tokens, "token", f"{final.normalize():f}", round(Fraction(final) * tokens)
            )


def _chat_tokens(model: Model, usage: dict[str, Any]) -> Iterator[tuple[str, int, Decimal]]:
    details = usage.get("prompt_tokens_details") or {}
    creation = details.get("cache_creation") or {}
    cached = details.get("cached_tokens") or 0
    written_5m = creation.get("ephemeral_5m_input_tokens") or 0
    written_1h = creation.get("ephemeral_1h_input_tokens") or 0
    prompt = usage.get("prompt_tokens") or usage.get("input_tokens") or 0
    yield "input", prompt - cached - written_5m - written_1h, model.input
    yield "cache_read", cached, _or_input(model, model.cache_read)
    yield "cache_write_5m", written_5m, _or_input(model, model.cache_write)
    yield "cache_write_1h", written_1h, _or_input(model, model.cache_write_1h)
    yield "output", usage.get("completion_tokens") or usage.get("output_tokens") or 0, model.output


def _or_input(model: Model, price: Decimal | None) -> Decimal:
    return model.input if price is None else price
