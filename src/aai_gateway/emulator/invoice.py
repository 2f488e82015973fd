"""The emulator's own invoice: what AssemblyAI would charge for what the emulator did.

It shares no price and no arithmetic with the gateway's price book, so a test that compares the two compares
two independent figures. Each line item is rounded to whole micro-dollars, half to even; a row is the sum of
its items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, get_args

from aai_gateway.emulator.catalogue import Model
from aai_gateway.emulator.price_list import PUBLISHED, TASK, PriceList

# What `domain` says when no special one is meant.
_NO_DOMAIN = (None, "", "general")

Service = Literal["speech", "chat", "understanding"]


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
    """One charge in micro-dollars: `id` is a transcript's id, or the request id of anything else."""

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
        self._charged: dict[tuple[Service, str, str], InvoiceRow] = {}

    def charge_transcript(
        self, region: str, transcript: Mapping[str, Any], prices: PriceList = PUBLISHED
    ) -> None:
        """Charge a completed transcript from its body, in which the requested options are echoed.

        Call it when the job completes, with the `prices` that held when it was submitted. A job that is not
        completed costs nothing; a second call for the same id changes nothing.
        """
        if transcript.get("status") == "completed":
            model = str(transcript.get("speech_model_used"))
            self._add("speech", region, transcript["id"], model, tuple(_speech_items(transcript, prices)))

    def charge_chat(
        self,
        region: str,
        request_id: str,
        model: str,
        usage: dict[str, Any],
        *,
        global_region: bool,
        prices: PriceList = PUBLISHED,
    ) -> None:
        """Charge a completion that `model` answered, from its `usage` under either naming scheme.

        `global_region` says that the request asked for `model_region: "global"`, which has no surcharge;
        `prices` are those that held when the request arrived. A second call for the same request id changes
        nothing. Raises `KeyError` for a model that is not in `prices`.
        """
        chosen = prices.models[model]
        surcharge = Decimal(0) if global_region else prices.surcharge(chosen, region)
        self._add("chat", region, request_id, model, tuple(_chat_items(chosen, usage, surcharge)))

    def charge_understanding(
        self,
        region: str,
        request_id: str,
        transcript: Mapping[str, Any],
        tasks: Mapping[str, Any],
        prices: PriceList = PUBLISHED,
    ) -> None:
        """Charge speech understanding of a completed transcript, each task by the length of its audio.

        Assumes that a task costs what it costs inline: the price of this operation is not published.
        """
        seconds = _channel_seconds(transcript)
        names = [f"{TASK}{task}" for task, wanted in tasks.items() if wanted is not None]
        items = tuple(_audio_item(name, prices.add_on(name), seconds) for name in names)
        self._add("understanding", region, request_id, TASK.rstrip("."), items)

    def micros_of(self, service: Service, region: str, id_: str) -> int:
        """What one transcript or completion was charged, in micro-dollars; 0 when it was not."""
        row = self._charged.get((service, region, id_))
        return row.micros if row else 0

    def total_micros(self, *, region: str | None = None, service: str | None = None) -> int:
        """The sum in micro-dollars, of one region or service where given."""
        return sum(
            row.micros for row in self.rows if region in (None, row.region) and service in (None, row.service)
        )

    def by_service(self) -> dict[str, int]:
        """Micro-dollars for each service."""
        return {service: self.total_micros(service=service) for service in get_args(Service)}

    def to_json(self) -> dict[str, Any]:
        """The rows, oldest first, and the totals, as plain JSON values."""
        rows = [_row_json(row) for row in self.rows]
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
        micros = sum(item.micros for item in items)
        row = InvoiceRow(id_, service, region, model, items, micros, datetime.now(timezone.utc))
        self._charged[service, region, id_] = row
        self.rows.append(row)


def _row_json(row: InvoiceRow) -> dict[str, Any]:
    """A row as plain JSON values; by hand, because `asdict` is slow on a hundred thousand of them."""
    items = [
        {
            "name": item.name,
            "quantity": item.quantity,
            "unit": item.unit,
            "unit_price": item.unit_price,
            "micros": item.micros,
        }
        for item in row.items
    ]
    return {
        "id": row.id,
        "service": row.service,
        "region": row.region,
        "model": row.model,
        "items": items,
        "micros": row.micros,
        "charged_at": row.charged_at.isoformat(),
    }


def _speech_items(transcript: Mapping[str, Any], prices: PriceList) -> Iterator[InvoiceItem]:
    """Model and add-ons, each per second of audio and channel."""
    seconds = _channel_seconds(transcript)
    for name, price in _speech_prices(transcript, prices):
        yield _audio_item(name, price, seconds)


def _channel_seconds(transcript: Mapping[str, Any]) -> int:
    """Seconds of all channels together; `audio_duration` does not count channels."""
    apart = transcript.get("multichannel") or transcript.get("dual_channel")
    channels = transcript.get("audio_channels") or 1 if apart else 1
    return int(transcript.get("audio_duration") or 0) * int(channels)


def _audio_item(name: str, price: Decimal, seconds: int) -> InvoiceItem:
    micros = round(Fraction(price) * seconds * 1_000_000 / 3600)
    return InvoiceItem(name, seconds, "second", f"{price:f}", micros)


def _speech_prices(transcript: Mapping[str, Any], prices: PriceList) -> Iterator[tuple[str, Decimal]]:
    model = str(transcript.get("speech_model_used"))
    yield model, prices.speech_model(model)
    names = [option for option in prices.options if transcript.get(option)]
    if (domain := transcript.get("domain")) not in _NO_DOMAIN:
        names.append(f"domain={domain}")
    requested = (transcript.get("speech_understanding") or {}).get("request") or {}
    names += [f"{TASK}{task}" for task, wanted in requested.items() if wanted]
    yield from ((name, prices.add_on(name)) for name in names)


def _chat_items(model: Model, usage: dict[str, Any], surcharge: Decimal) -> Iterator[InvoiceItem]:
    """Tokens by kind, each at its own price; kinds that did not occur have no line."""
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
