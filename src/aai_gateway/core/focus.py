"""Usage rows as charges of FOCUS 1.2, the FinOps Open Cost and Usage Specification: one for each line item.

Column names and meanings are the specification's ("Columns", "Attributes"); `x_` columns are ours. Amounts
are decimal text without exponent, moments ISO 8601 in UTC. A column with nothing to say is empty: null.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from aai_gateway.core.budgets import usd
from aai_gateway.core.price_book import amount_text
from aai_gateway.core.regions import Region
from aai_gateway.core.usage_rows import PRICED_BY, BookedItem, UsageRow, booked_items

PROVIDER = "AssemblyAI"
TAG_PREFIX = "aai-gateway/"
"""Before the keys of tags that are the gateway's, not the team's."""

COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_BookedAt",
    "x_Channels",
    "x_HeldCost",
    "x_KeyHash",
    "x_LineItem",
    "x_Model",
    "x_PricedAs",
    "x_Status",
)
"""Every column, in the order of the file."""

_SERVICES = {
    "speech": ("AssemblyAI Speech-to-Text", "Natural Language Processing", "Transcript"),
    "chat": ("AssemblyAI LLM Gateway", "Generative AI", "Completion"),
    "understanding": ("AssemblyAI LLM Gateway", "Natural Language Processing", "Speech understanding"),
}
_REGIONS = {Region.US: "United States", Region.EU: "European Union"}
_UNITS = {
    "second": ("Seconds", "Hours", "per hour"),
    "token": ("Tokens", "1000000 Tokens", "per 1M tokens"),
    **dict.fromkeys(("transcript", "completion", "request"), ("Requests", "Requests", "each")),
}
_METERS = {
    "input": "Input tokens",
    "cache_read": "Input tokens read from a cache",
    "cache_write_5m": "Input tokens written to a cache for 5 minutes",
    "cache_write_1h": "Input tokens written to a cache for 1 hour",
    "output": "Output tokens",
    "unknown_outcome": "Requests without an answer",
}
# An hour has 3600 seconds, so that hours may have no end: ten places are finer than any price.
_PLACES = Decimal("1E-10")


@dataclass(frozen=True, slots=True)
class _Meter:
    """What a line measures: `sku` for the thing, `price` for it at one of its prices."""

    name: str
    sku: str
    price: str


def focus_charges(row: UsageRow, team: str | None, key: str | None) -> Iterator[dict[str, str]]:
    """The charges of one row, a dictionary of `COLUMNS` for each line item; `BilledCost` adds up to the row.

    `team` and `key` are the names of the row's team and key. Raises PriceError for a row whose line items
    cannot be read or do not add up to it.
    """
    shared = _of_row(row, team, key)
    for number, item in enumerate(booked_items(row)):
        yield dict.fromkeys(COLUMNS, "") | shared | _of_item(row, item, is_model=number == 0)


def _of_row(row: UsageRow, team: str | None, key: str | None) -> dict[str, str]:
    service, subcategory, resource = _SERVICES[row.service]
    month = row.created_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    second = row.created_at.replace(microsecond=0)
    return {
        # AssemblyAI's API does not tell the account's number; there is one account.
        "BillingAccountId": "assemblyai",
        "BillingAccountName": PROVIDER,
        "BillingCurrency": "USD",
        "BillingPeriodStart": _moment(month),
        "BillingPeriodEnd": _moment((month + timedelta(days=32)).replace(day=1)),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _moment(second),
        "ChargePeriodEnd": _moment(second + timedelta(seconds=1)),
        "InvoiceIssuerName": PROVIDER,
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "ProviderName": PROVIDER,
        "PublisherName": PROVIDER,
        "RegionId": row.region.value,
        "RegionName": _REGIONS[row.region],
        "ResourceId": row.source_id,
        "ResourceType": resource,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": service,
        "ServiceSubcategory": subcategory,
        "SubAccountId": row.team_id or "",
        "SubAccountName": team or "",
        "SubAccountType": "Team" if row.team_id else "",
        "Tags": _tags(row, key),
        "x_BookedAt": row.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "x_Channels": "" if row.service == "chat" else str(row.channels),
        "x_KeyHash": row.key_hash or "",
        "x_Model": row.model or "",
        "x_Status": row.status,
    }


def _of_item(row: UsageRow, item: BookedItem, *, is_model: bool) -> dict[str, str]:
    consumed, priced, each = _UNITS[item.unit]
    cost, price = usd(item.micros), amount_text(item.unit_price)
    quantity = (Decimal(item.quantity) / PRICED_BY[item.unit]).quantize(_PLACES, ROUND_HALF_EVEN)
    meter = _meter(row, item, is_model=is_model)
    description = f"{meter.name}: {item.quantity} {consumed.lower()} at ${price} {each}"
    return {
        "BilledCost": cost,
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "ListCost": cost,
        "ContractedUnitPrice": price,
        "ListUnitPrice": price,
        "ChargeDescription": f"{description}, the fallback price" if item.fallback else description,
        "ConsumedQuantity": str(item.quantity),
        "ConsumedUnit": consumed,
        "PricingQuantity": f"{quantity.normalize():f}",
        "PricingUnit": priced,
        "SkuId": meter.sku,
        "SkuMeter": meter.name,
        "SkuPriceId": meter.price,
        "x_HeldCost": "" if item.held_micros is None else usd(item.held_micros),
        "x_LineItem": item.name,
        "x_PricedAs": (row.priced_as or "") if item.fallback else "",
    }


def _meter(row: UsageRow, item: BookedItem, *, is_model: bool) -> _Meter:
    """Add-ons cost the same with every model; tokens by model, kind, region, and whether they stay in it."""
    if row.service != "chat":
        is_model = is_model and row.service == "speech"
        kind = "model" if is_model else "addon"
        name = f"Audio by {item.name}" if is_model else f"Audio with {item.name}"
        return _Meter(name, f"speech/{kind}/{item.name}", f"speech/{kind}/{item.name}")
    place = f"{row.region.value}/{'global' if row.global_region else 'in-region'}"
    sku = f"chat/{row.model or 'unknown'}/{item.name}"
    return _Meter(f"{_METERS.get(item.name, item.name)}, {row.model or 'unknown'}", sku, f"{sku}/{place}")


def _tags(row: UsageRow, key: str | None) -> str:
    """Tags without a value are true, as the specification wants; ours have a prefix."""
    tags: dict[str, str | bool] = dict.fromkeys(row.tags, True)
    ours = {"end_user": row.end_user, "key": key}
    tags |= {f"{TAG_PREFIX}{name}": value for name, value in ours.items() if value is not None}
    return json.dumps(tags, ensure_ascii=False)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
