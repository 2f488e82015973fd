"""Find what is worth quoting: sentence windows, embeddings, Chroma. Needs `aai-gateway[quotes]`.

Names are loaded when they are used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aai_gateway.quotes.finder import BestQuotes, best_quotes, open_index, search
    from aai_gateway.quotes.index import QuoteIndex
    from aai_gateway.quotes.passages import Quote
    from aai_gateway.quotes.windows import Sentence

_HOMES = {
    "BestQuotes": "aai_gateway.quotes.finder",
    "Quote": "aai_gateway.quotes.passages",
    "QuoteIndex": "aai_gateway.quotes.index",
    "Sentence": "aai_gateway.quotes.windows",
    "best_quotes": "aai_gateway.quotes.finder",
    "open_index": "aai_gateway.quotes.finder",
    "search": "aai_gateway.quotes.finder",
}

__all__ = ["BestQuotes", "Quote", "QuoteIndex", "Sentence", "best_quotes", "open_index", "search"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
