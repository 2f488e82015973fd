from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from aai_gateway.emulator.catalogue import MODELS

PUBLISHED = Path(__file__).parents[3] / "shared" / "assemblyai" / "llm_gateway_models.json"


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published model list is not beside this checkout")
def test_every_figure_is_the_published_one():
    published = json.loads(PUBLISHED.read_text(), parse_float=Decimal)["models"]
    assert {row["id"] for row in published} == set(MODELS)
    for row in published:
        model = MODELS[row["id"]]
        prices = (model.input, model.output, model.cache_read, model.cache_write, model.cache_write_1h)
        names = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
        assert tuple(row[f"{name}_per_1m"] for name in names) == prices
        assert (row["context"], row["provider"], row["retirement"]) == (
            model.context,
            model.provider,
            model.retirement,
        )
        assert row["regional_surcharge"] == model.surcharge
        assert set(row["supported_parameters"]) == set(model.supported_parameters)
