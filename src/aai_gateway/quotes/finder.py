"""The best quotes of a transcript: a model proposes, the index says where, the transcript gives the words.

Each proposal is embedded on its own. Its nearest windows come from the index; inside them the run of whole
sentences that is most like the proposal is the quote. So the text is always the transcript's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aai_gateway.chat_client import ChatAnswer, ChatClient
from aai_gateway.errors import ConfigurationError
from aai_gateway.quotes.embedder import load_embedder
from aai_gateway.quotes.index import QuoteIndex
from aai_gateway.quotes.passages import Quote, confidence_of, without_overlaps
from aai_gateway.quotes.proposals import ask_for_quotes
from aai_gateway.quotes.windows import WINDOW_SIZE, Sentence, Window
from aai_gateway.settings import Settings, get_settings

# Below this likeness a proposal is not like anything that was said, and is dropped.
MIN_CONFIDENCE = 0.5
# Windows in which a proposal is looked for: the nearest in meaning, and those with most of its words, as one
# plain sentence ("There is.") says little about the window that it stands in.
NEAREST_WINDOWS = 3
WORDIEST_WINDOWS = 2


@dataclass(frozen=True, slots=True)
class BestQuotes:
    """The quotes, the model's favourite first; its proposals that nobody said; and the answers it took."""

    quotes: tuple[Quote, ...]
    not_found: tuple[str, ...]
    answers: tuple[ChatAnswer, ...]


def open_index(namespace: str, settings: Settings | None = None) -> QuoteIndex:
    """This machine's quote index (`quotes` in the data directory) with the embedding model of the settings.

    Raises IndexUnavailable, as `load_embedder` does.
    """
    settings = settings or get_settings()
    return QuoteIndex(
        settings.data_path / "quotes", load_embedder(settings.embedding_model), namespace=namespace
    )


def search(text: str, n: int = 5, *, namespace: str, transcript_id: str | None = None) -> list[Quote]:
    """The `n` stored passages nearest in meaning to `text`, best first, none overlapping another.

    Over this machine's index; `namespace` as when the transcripts were added. Raises IndexUnavailable.
    """
    with open_index(namespace) as index:
        return index.search(text, n, transcript_ids=None if transcript_id is None else [transcript_id])


def best_quotes(
    transcript_id: str,
    sentences: Sequence[Sentence],
    *,
    chat: ChatClient,
    index: QuoteIndex,
    n: int = 3,
    about: str | None = None,
    region: str = "us",
) -> BestQuotes:
    """The `n` best quotes of a transcript, optionally about something, as `chat`'s model sees it.

    The transcript is added to `index`. More quotes than `n` are asked for, as some are repeats or were never
    said; fewer are returned when not enough are left. `confidence` is the cosine between a quote and its
    proposal: 1 when it was said in those words. Raises ModelAnswerError, Refused, UpstreamFailed,
    IndexUnavailable.
    """
    if n < 1:
        raise ConfigurationError("The number of quotes must be at least 1.")
    if not sentences:
        return BestQuotes((), (), ())
    index.add(transcript_id, sentences, region=region)
    claims, answers = ask_for_quotes(chat, transcript_id, 2 * n + 2, about)
    found = locate(claims, transcript_id, sentences, index)
    said = [quote for quote in found if quote.confidence >= MIN_CONFIDENCE]
    kept = set(said)
    return BestQuotes(
        tuple(without_overlaps(said, n)),
        tuple(quote.claim or "" for quote in found if quote not in kept),
        tuple(answers),
    )


def locate(
    claims: Sequence[str], transcript_id: str, sentences: Sequence[Sentence], index: QuoteIndex
) -> list[Quote]:
    """For each claim, the run of sentences most like it, however unlike. `index` must have the transcript."""
    candidates = index.candidates(transcript_id, claims)
    nearest = [_likely(claim, ranked) for claim, ranked in zip(claims, candidates, strict=True)]
    runs = {
        (run.first, run.last): run
        for quotes in nearest
        for quote in quotes
        for run in _runs(sentences[quote.first : quote.last + 1])
    }
    if not runs:
        return []
    vectors = index.embedder.encode([*claims, *(run.text for run in runs.values())])
    cosines = vectors[: len(claims)] @ vectors[len(claims) :].T
    found = []
    for claim, quotes, row in zip(claims, nearest, cosines, strict=True):
        likeness = dict(zip(runs, map(float, row), strict=True))
        inside = [
            place
            for place in runs
            if any(quote.first <= place[0] and place[1] <= quote.last for quote in quotes)
        ]
        best = max(inside, key=lambda place: (likeness[place], place[0] - place[1]))
        window = runs[best]
        found.append(
            replace(
                quotes[0],
                start=window.start,
                end=window.end,
                text=window.text,
                speakers=window.speakers,
                first=window.first,
                last=window.last,
                confidence=confidence_of(likeness[best]),
                claim=claim,
            )
        )
    return found


def _likely(claim: str, ranked: list[Quote]) -> list[Quote]:
    """The windows in which to look for a claim, of all of them ranked by meaning."""
    words = _words(claim)
    wordiest = sorted(ranked, key=lambda quote: -len(words & _words(quote.text)))
    return ranked[:NEAREST_WINDOWS] + wordiest[:WORDIEST_WINDOWS]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _runs(sentences: Sequence[Sentence]) -> list[Window]:
    """Every run of one to five consecutive sentences."""
    return [
        Window(tuple(sentences[start:end]))
        for start in range(len(sentences))
        for end in range(start + 1, min(start + WINDOW_SIZE, len(sentences)) + 1)
    ]
