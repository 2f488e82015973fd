"""The best quotes of a transcript: a model proposes, the transcript says whether and where that was said.

A long transcript goes to the model in portions. Each proposal is looked for on its own, by its words and else
by its meaning (`matching.find_quotes`). So the text is always the transcript's own, and what nobody said is
never returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aai_gateway.chat_client import ChatAnswer, ChatClient
from aai_gateway.errors import ConfigurationError, ModelAnswerError
from aai_gateway.quotes.choosing import Candidate, choose, merit_in_order
from aai_gateway.quotes.index import QuoteIndex
from aai_gateway.quotes.matching import Found, Match, NotFound, find_quotes
from aai_gateway.quotes.passages import Quote
from aai_gateway.quotes.portions import Portion, portions
from aai_gateway.quotes.proposals import ask_for_quotes
from aai_gateway.quotes.windows import Sentence

AT_ONCE = 4
"""Portions of which a model is asked at a time."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A portion, from `start` to `end` in ms, of which no quotes came, and why."""

    start: int
    end: int
    error: str


@dataclass(frozen=True, slots=True)
class BestQuotes:
    """The quotes, best first; the model's proposals that nobody said, each with the place that is most like
    it; the answers it took; and what portions of the transcript the model made nothing of."""

    quotes: tuple[Quote, ...]
    not_found: tuple[NotFound, ...] = ()
    answers: tuple[ChatAnswer, ...] = ()
    unread: tuple[Unread, ...] = ()


def best_quotes(
    transcript_id: str,
    sentences: Sequence[Sentence],
    *,
    chat: ChatClient,
    index: QuoteIndex,
    n: int = 3,
    about: str | None = None,
    region: str = "us",
    on_portion: Callable[[int, int], None] | None = None,
) -> BestQuotes:
    """The `n` best quotes of a transcript, optionally about something, as `chat`'s model sees it.

    The transcript is added to `index`. More quotes than `n` are asked for, as some are repeats or were never
    said; those that were are ranked by the model's order and by how surely they were said, and spread over
    the recording. Fewer are returned when not enough are left. `confidence` is the probability that the quote
    is what the model meant. `on_portion` is told how many portions are done, and of how many. Raises
    ModelAnswerError when no portion's answer can be read, Refused, UpstreamFailed, IndexUnavailable.
    """
    if n < 1:
        raise ConfigurationError("The number of quotes must be at least 1.")
    if not sentences:
        return BestQuotes(())
    index.add(transcript_id, sentences, region=region)
    asked = _asked_of(portions(sentences), 2 * n + 2, chat, about, on_portion or (lambda done, total: None))
    claims = list(dict.fromkeys(claim for one in asked for claim in one.claims))
    located = dict(
        zip(
            claims,
            find_quotes(
                claims, sentences, encode=index.embedder.encode, vectors=index.vectors(transcript_id)
            ),
            strict=True,
        )
    )
    candidates = [
        Candidate(quote_of(match, transcript_id, region), merit)
        for one in asked
        for match, merit in _said(one, located)
    ]
    return BestQuotes(
        tuple(choose(candidates, n, max(sentence.end for sentence in sentences))),
        tuple(one for one in located.values() if isinstance(one, NotFound)),
        tuple(answer for one in asked for answer in one.answers),
        tuple(Unread(one.portion.start, one.portion.end, str(one.error)) for one in asked if one.error),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a model proposed of a portion, best first."""

    portion: Portion
    claims: tuple[str, ...] = ()
    answers: tuple[ChatAnswer, ...] = ()
    error: ModelAnswerError | None = None


def _asked_of(
    parts: Sequence[Portion],
    count: int,
    chat: ChatClient,
    about: str | None,
    on_portion: Callable[[int, int], None],
) -> list[_Asked]:
    """What the model proposes of each portion, `count` quotes together. Raises where it fails for all."""
    each = count if len(parts) == 1 else -(-count // len(parts)) + 1

    def ask(portion: Portion) -> _Asked:
        try:
            claims, answers = ask_for_quotes(chat, portion.script, each, about)
        except ModelAnswerError as error:
            return _Asked(portion, error=error)
        return _Asked(portion, tuple(claims), tuple(answers))

    asked: list[_Asked] = []
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for one in pool.map(ask, parts):
            asked.append(one)
            on_portion(len(asked), len(parts))
    finally:
        # Interrupted: nobody waits for what is under way.
        pool.shutdown(wait=False, cancel_futures=True)
    errors = [one.error for one in asked if one.error is not None]
    if len(errors) == len(asked):
        raise errors[0]
    return asked


def _said(asked: _Asked, located: Mapping[str, Found | NotFound]) -> Iterator[tuple[Match, float]]:
    """Where in its portion each proposal was said, and what that is worth."""
    for place, claim in enumerate(asked.claims):
        found = located[claim]
        if isinstance(found, Found):
            first, last = asked.portion.sentences[0].index, asked.portion.sentences[-1].index
            here = [one for one in found.places if first <= one.first and one.last <= last]
            match = (here or found.places)[0]
            yield match, merit_in_order(place, len(asked.claims), match.confidence)


def quote_of(match: Match, transcript_id: str, region: str) -> Quote:
    """A place in a transcript as a quote of it."""
    return Quote(
        transcript_id=transcript_id,
        region=region,
        start=match.start,
        end=match.end,
        text=match.text,
        speakers=match.speakers,
        confidence=match.confidence,
        first=match.first,
        last=match.last,
        claim=match.claim,
        before=match.before,
        after=match.after,
        kind=match.kind,
    )
