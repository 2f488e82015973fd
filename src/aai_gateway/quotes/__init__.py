"""Find what is worth quoting: sentence windows, embeddings, Chroma. Needs `aai-gateway[quotes]`.

Names are loaded when they are used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import load_embedder
    from aai_gateway.quotes.extractive import extractive_quotes
    from aai_gateway.quotes.finder import BestQuotes, best_quotes
    from aai_gateway.quotes.index import QuoteIndex
    from aai_gateway.quotes.matching import Found, Match, NotFound, find_quotes
    from aai_gateway.quotes.opening import open_index, search
    from aai_gateway.quotes.passages import Quote
    from aai_gateway.quotes.spoken import Spoken
    from aai_gateway.quotes.windows import Sentence, Word, numbered

_HOMES = {
    "BestQuotes": "aai_gateway.quotes.finder",
    "Found": "aai_gateway.quotes.matching",
    "Match": "aai_gateway.quotes.matching",
    "NotFound": "aai_gateway.quotes.matching",
    "Quote": "aai_gateway.quotes.passages",
    "QuoteIndex": "aai_gateway.quotes.index",
    "Sentence": "aai_gateway.quotes.windows",
    "Spoken": "aai_gateway.quotes.spoken",
    "Word": "aai_gateway.quotes.windows",
    "best_quotes": "aai_gateway.quotes.finder",
    "extractive_quotes": "aai_gateway.quotes.extractive",
    "find_quotes": "aai_gateway.quotes.matching",
    "load_embedder": "aai_gateway.quotes.embedder",
    "numbered": "aai_gateway.quotes.windows",
    "open_index": "aai_gateway.quotes.opening",
    "search": "aai_gateway.quotes.opening",
}

__all__ = [
    "BestQuotes",
    "Found",
    "Match",
    "NotFound",
    "Quote",
    "QuoteIndex",
    "Sentence",
    "Spoken",
    "Word",
    "best_quotes",
    "extractive_quotes",
    "find_quotes",
    "load_embedder",
    "numbered",
    "open_index",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
