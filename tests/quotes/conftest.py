from __future__ import annotations

import pytest
from spoken_lines import BANK, GARDEN, made_of

from aai_gateway.quotes.embedder import load_embedder
from aai_gateway.quotes.index import QuoteIndex


@pytest.fixture(scope="session")
def embedder():
    return load_embedder()


@pytest.fixture
def garden():
    return made_of(GARDEN, "AB")


@pytest.fixture
def bank():
    return made_of(BANK)


@pytest.fixture
def index(tmp_path, embedder):
    with QuoteIndex(tmp_path / "quotes", embedder, lock_wait=0.2) as opened:
        yield opened
