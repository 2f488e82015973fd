"""This machine's quote index, as the settings say, and search in it.

Apart from `finder`, so that a search loads nothing that only asking a chat model needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from aai_gateway.quotes.embedder import Choice, load_embedder
from aai_gateway.quotes.index import QuoteIndex
from aai_gateway.quotes.passages import Quote
from aai_gateway.settings import Settings, get_settings


def open_index(
    namespace: str,
    settings: Settings | None = None,
    *,
    chroma_url: str | None = None,
    backend: Choice | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> QuoteIndex:
    """This machine's quote index (`quotes` in the data directory) with the embedding model of the settings.

    `chroma_url` and `backend` stand in for the settings' own. `on_notice` is told what was found broken and
    mended, and what takes long. Raises IndexUnavailable, as `load_embedder` does.
    """
    settings = settings or get_settings()
    server = chroma_url or (str(settings.chroma_url) if settings.chroma_url else None)
    return QuoteIndex(
        settings.data_path / "quotes",
        load_embedder(settings.embedding_model, backend or settings.embedding_backend, settings.cache_dir),
        namespace=namespace,
        chroma_url=server,
        on_notice=on_notice,
    )


def search(
    text: str,
    n: int = 5,
    *,
    namespace: str,
    transcript_ids: Sequence[str] | None = None,
    speaker: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Quote]:
    """The `n` stored passages that are most about `text`, best first, none overlapping another.

    Over this machine's index; `namespace` as when the transcripts were added. Raises IndexUnavailable.
    """
    with open_index(namespace) as index:
        return index.search(text, n, transcript_ids=transcript_ids, speaker=speaker, since=since, until=until)
