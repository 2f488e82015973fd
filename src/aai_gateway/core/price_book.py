"""The price book: dated prices of models and add-ons, and where each was published.

Amounts are `Decimal` US dollars, speech per hour of audio and chat per million tokens; a surcharge is a
fraction. A history is a tuple of lines, oldest first, one for each moment (aware, UTC) since when a price is
known to hold. Chat models have a history for each region, because the regions' catalogues need not agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Protocol, TypeVar

from aai_gateway.core.regions import Region

BEGINNING = datetime.min.replace(tzinfo=timezone.utc)
"""The moment of a line that has always held."""

KINDS = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
"""The kinds of tokens that a chat model has a price for."""


class Dated(Protocol):
    """A line of a history. `own` is true in prices of one's own contract, false in published ones."""

    @property
    def since(self) -> datetime:
        """The first moment it is known to hold, UTC."""

    @property
    def own(self) -> bool:
        """Whether it is of one's own contract."""


D = TypeVar("D", bound=Dated)


@dataclass(frozen=True, slots=True)
class Price:
    """One amount in US dollars (or a surcharge as a fraction), since when, and who said so."""

    since: datetime
    amount: Decimal
    source: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """US dollars per million tokens of each kind. A cache price of None means the input price."""

    since: datetime
    input: Decimal
    output: Decimal
    cache_read: Decimal | None
    cache_write: Decimal | None
    cache_write_1h: Decimal | None
    source: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Surcharge:
    """What a model costs on top when a request stays in its region. A rate of None is the region's own."""

    since: datetime
    rate: Decimal | None
    source: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class ChatTerms:
    """How a chat model is charged in each region: histories of its prices and of its surcharge."""

    surcharges: Mapping[Region, tuple[Surcharge, ...]]
    prices: Mapping[Region, tuple[TokenPrices, ...]]


@dataclass(frozen=True, slots=True)
class ChatEntry:
    """A chat model of the LLM Gateway: context window in tokens, where it runs, and its terms."""

    context: int
    regions: tuple[Region, ...]
    parameters: tuple[str, ...]
    retires: date | None
    terms: ChatTerms


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Every known price; an alias is a second name of a model, a fallback serves names not listed."""

    speech_models: Mapping[str, tuple[Price, ...]]
    speech_aliases: Mapping[str, str]
    speech_addons: Mapping[str, tuple[Price, ...]]
    fallback_speech_model: tuple[Price, ...]
    fallback_addon: tuple[Price, ...]
    chat_models: Mapping[str, ChatEntry]
    chat_aliases: Mapping[str, str]
    fallback_chat: ChatTerms
    in_region_surcharge: Mapping[Region, tuple[Price, ...]]


def in_force(history: tuple[D, ...], at: datetime) -> D:
    """The newest of `history` that held at `at` (aware), or the oldest when all are younger."""
    return next((line for line in reversed(history) if line.since <= at), history[0])


def surcharge(book: PriceBook, region: Region, terms: ChatTerms, at: datetime) -> Decimal:
    """What `terms` add for staying in `region` at `at`, as a fraction: 0.1 is ten percent."""
    rate = in_force(terms.surcharges[region], at).rate
    return in_force(book.in_region_surcharge[region], at).amount if rate is None else rate


def moment_text(moment: datetime) -> str:
    """A moment as price books write it: `2026-10-07` for the beginning of a UTC day, else with its time."""
    utc = moment.astimezone(timezone.utc)
    if utc.timetz().replace(tzinfo=None) == datetime.min.time():
        return utc.date().isoformat()
    return utc.isoformat().replace("+00:00", "Z")


def amount_text(amount: Decimal) -> str:
    """An amount with two decimals, or as many as it needs: `3.50`, `0.125`."""
    whole, _, part = f"{amount.normalize():f}".partition(".")
    return f"{whole}.{part.ljust(2, '0')}"
