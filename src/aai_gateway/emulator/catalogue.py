"""The chat models that the emulated LLM Gateway serves, with the emulator's own prices.

Written by hand from AssemblyAI's documentation ("LLM Gateway > Models", read in August and September 2026),
and on purpose not shared with the gateway's price book: the emulator's invoice is the independent figure that
the ledger is compared with. Prices are USD per 1M tokens as decimal text, at `model_region: "global"`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from aai_gateway.emulator.amounts import PricesError, amount, fields_of

# What a model takes besides `max_tokens`, a letter each.
_PARAMETERS = {
    "t": ("temperature",),
    "c": ("tools", "tool_choice"),
    "f": ("response_format",),
    "s": ("stream",),
}
REGIONS = ("us", "eu")
PRICES = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
"""The fields of a model that hold a price."""


@dataclass(frozen=True, slots=True)
class Model:
    """One chat model. Prices are USD per 1M tokens; `None` where the documentation gives none."""

    id: str
    provider: str
    context: int
    input: Decimal
    output: Decimal
    cache_read: Decimal | None
    cache_write: Decimal | None
    cache_write_1h: Decimal | None
    surcharge: Decimal
    """What an in-region request costs on top, as a share of the price: 0.1 is ten percent."""
    supported_parameters: tuple[str, ...]
    retirement: str | None
    regions: tuple[str, ...]
    """Regions whose /v1/models lists the model."""

    @classmethod
    def from_json(cls, value: object) -> Model:
        """A model that a test adds: `id`, `input` and `output`, the rest as it likes. Raises PricesError.

        Amounts are text; `cache_read`, `cache_write` and `cache_write_1h` may be left out, `surcharge` is
        "0.1", `context` 200000 tokens, `regions` both, `retirement` no day. It takes every parameter.
        """
        known = {"id", "context", "surcharge", "retirement", "regions", *PRICES}
        given = fields_of(value, "model", known)
        if missing := sorted({"id", "input", "output"} - set(given)):
            raise PricesError(f"model: {', '.join(missing)} is missing")
        return cls(
            id=_id(given["id"]),
            provider="Emulator",
            context=_context(given.get("context", 200_000)),
            surcharge=amount(given.get("surcharge", "0.1"), "surcharge"),
            supported_parameters=_parameters("tcfs"),
            retirement=_day(given.get("retirement")),
            regions=_regions(given.get("regions", ["us", "eu"])),
            **{name: amount_or_none(given, name) for name in PRICES},
        )

    @property
    def reasons(self) -> bool:
        """Whether `reasoning_effort`, `reasoning` and `thinking` are taken.

        `supported_parameters` does not list them, so this follows what the providers' own models take: GPT-5,
        Claude 4 and Gemini 2.5 onwards.
        """
        return self.id.startswith(("gpt-5", "claude-", "gemini-"))

    @property
    def creator(self) -> str:
        """Who made the model, as /v1/models says it."""
        makers = {
            "claude": "Anthropic",
            "gemini": "Google",
            "gemma": "Google",
            "gpt": "OpenAI",
            "qwen3": "Alibaba",
        }
        return makers.get(re.split(r"[-.]", self.id)[0], self.provider)

    @property
    def chunk_name(self) -> str:
        """The name in streamed chunks; AssemblyAI's own model reports another than was asked for."""
        return self.id.removesuffix("-fast") if self.provider == "AssemblyAI" else self.id


def amount_or_none(given: Mapping[str, Any], name: str) -> Any:
    """The price `name`; only a cache may have none. Raises PricesError."""
    value = given.get(name)
    return None if value is None and name not in ("input", "output") else amount(value, name)


def _parameters(letters: str) -> tuple[str, ...]:
    return ("max_tokens", *(name for letter in letters for name in _PARAMETERS[letter]))


def _id(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", value):
        raise PricesError(f"id: {value!r} is no id of a model")
    return value


def _context(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PricesError(f"context: {value!r} is no number of tokens")
    return value


def _day(value: object) -> str | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise PricesError(f"retirement: {value!r} is no day; write 2027-05-07") from None


def _regions(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not set(value) <= set(REGIONS):
        raise PricesError('regions is a list of "us" and "eu"')
    return tuple(region for region in REGIONS if region in value)


def _price(text: str) -> Decimal | None:
    return None if text == "-" else Decimal(text)


def _model(row: str) -> Model:
    """A model from one line of `_TABLE`."""
    id_, provider, context, price_in, price_out, read, write, write_1h, surcharge, letters, regions, *end = (
        row.split()
    )
    return Model(
        id=id_,
        provider=provider.replace("_", " "),
        context=int(context),
        input=Decimal(price_in),
        output=Decimal(price_out),
        cache_read=_price(read),
        cache_write=_price(write),
        cache_write_1h=_price(write_1h),
        surcharge=Decimal(surcharge),
        supported_parameters=_parameters(letters),
        retirement=end[0] if end else None,
        regions=tuple(regions.split("+")),
    )


# id, provider, context, prices (input, output, cache read, cache write for 5 min, for 1 h), surcharge, takes,
# regions, retirement
_TABLE = """
claude-haiku-4-5-20251001  Bedrock         200000 1    5    0.1   1.25  2  0.1 tcfs us+eu
claude-opus-4-5-20251101   Bedrock         200000 5    25   0.5   6.25  10 0.1 tcfs us
claude-opus-4-6            Bedrock         200000 5    25   0.5   6.25  10 0.1 tcfs us
claude-opus-4-7            Bedrock        1000000 5    25   0.5   6.25  10 0.1 cs   us
claude-opus-4-8            Bedrock        1000000 5    25   0.5   6.25  10 0.1 cs   us
claude-opus-5              Bedrock         200000 5    25   0.5   6.25  10 0.1 cs   us
claude-sonnet-4-5-20250929 Bedrock         200000 3    15   0.3   3.75  6  0.1 tcfs us+eu
claude-sonnet-4-6          Bedrock         200000 3    15   0.3   3.75  6  0.1 tcfs us+eu
claude-sonnet-5            Bedrock         200000 3    15   0.3   3.75  6  0.1 cs   us
gemini-2.5-flash           Vertex         1048576 0.3  2.5  0.03  -     -  0.1 tcfs us+eu
gemini-2.5-flash-lite      Vertex         1048576 0.1  0.4  0.01  -     -  0.1 tcfs us+eu
gemini-2.5-pro             Vertex          200000 1.25 10   0.125 -     -  0.1 tcfs us+eu
gemini-3.1-flash-lite      Vertex         1048575 0.25 1.5  0.025 -     -  0.1 tcfs us  2027-05-07
gemini-3.5-flash           Vertex         1048575 1.25 9    0.125 -     -  0.1 tcfs us
gemini-3.5-flash-lite      Vertex         1048575 0.3  2.5  0.03  -     -  0.1 tcfs us
gemini-3.6-flash           Vertex         1048575 1.5  7.5  0.15  -     -  0.1 tcfs us+eu
gemini-3.7-flash           Vertex         1048575 0.75 3.75 0.075 -     -  0.1 tcfs us+eu
gemma-4-31b                Bedrock_Mantle  256000 0.14 0.4  -     -     -  0   tcfs us
gpt-4.1                    Open_AI        1047576 2    8    0.5   -     -  0.1 tcs  us
gpt-5                      Open_AI         400000 1.25 10   0.125 -     -  0.1 tcfs us
gpt-5-mini                 Open_AI         400000 0.25 2    0.025 -     -  0.1 tcfs us
gpt-5-nano                 Open_AI         400000 0.05 0.4  0.005 -     -  0.1 tcfs us
gpt-5.1                    Open_AI         400000 1.25 10   0.125 -     -  0.1 tcfs us
gpt-5.2                    Open_AI         400000 1.75 14   0.175 -     -  0.1 tcfs us
gpt-5.5                    Open_AI         272000 5    30   0.5   -     -  0.1 cfs  us
gpt-5.6-luna               Open_AI         270000 1    6    0.1   1.25  -  0.1 cfs  us
gpt-5.6-sol                Open_AI         270000 4    20   0.4   5     -  0.1 cfs  us
gpt-5.6-terra              Open_AI         270000 2.5  15   0.25  3.125 -  0.1 cfs  us
gpt-oss-120b               Bedrock         131072 0.15 0.6  -     -     -  0   tcf  us
gpt-oss-20b                Bedrock         131072 0.07 0.3  -     -     -  0   tc   us
qwen3-32B                  Bedrock         200000 0.15 0.6  -     -     -  0   tcfs us
qwen3-next-80b-a3b         Bedrock         200000 0.15 1.2  -     -     -  0   tcfs us
qwen3.5-4b-32k-fast        AssemblyAI       32768 0.1  0.5  -     -     -  0   ts   us
"""

MODELS: dict[str, Model] = {model.id: model for model in map(_model, _TABLE.strip().splitlines())}
