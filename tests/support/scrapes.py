"""Pages of `/metrics`, read as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

LABELS = (
    *("team", "service", "operation", "host", "region", "model", "item", "status", "outcome", "scope"),
    *("type", "version", "litellm", "schema", "le"),
)
"""Every label, in an order of its own: a label that is not in here fails the tests."""

Samples = Mapping[tuple[str, ...], float]


def samples(page: bytes | str) -> dict[tuple[str, ...], float]:
    """Values by name, without the prefix that all have, and label values in the order of LABELS."""
    text = page if isinstance(page, str) else page.decode()
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.name.startswith("aai_gateway_"), sample
            assert sample.labels.keys() <= {*LABELS}, sample
            values = (sample.labels[name] for name in LABELS if name in sample.labels)
            labels = (sample.name.removeprefix("aai_gateway_"), *values)
            assert labels not in found
            found[labels] = sample.value
    return found


def chosen(page: Samples, *names: str) -> dict[tuple[str, ...], float]:
    """Those samples of a page whose names begin with one of `names`."""
    return {labels: value for labels, value in page.items() if labels[0].startswith(names)}
