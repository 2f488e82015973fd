"""Topics of many transcripts: several at once, each kept as it comes, none asked for twice."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from aai_gateway.chat_client import ChatAnswer, ChatClient
from aai_gateway.errors import GatewayError
from aai_gateway.tasks.parts import By, Part
from aai_gateway.tasks.topic_results import WHOLE, Labelled, TopicResults, question_of
from aai_gateway.tasks.topics import tag_topics

AT_ONCE = 4
"""Transcripts that are asked about at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A transcript's topics, part by part, or the `error` after those; and the answers that it took now."""

    transcript_id: str
    labelled: tuple[Labelled, ...]
    answers: tuple[ChatAnswer, ...]
    error: GatewayError | None = None


class Labeller:
    """Labels transcripts with up to `max_tags` of `topics`, as wholes or `by` part; keeps it in `results`.

    `parts_of` gives a transcript's parts, and is asked only for those that are labelled by part. `again`
    asks about what has an answer already too. `on_notice` is told, in a sentence, what takes long.
    """

    def __init__(
        self,
        topics: Mapping[str, str],
        *,
        chat: ChatClient,
        results: TopicResults,
        max_tags: int = 1,
        by: By | None = None,
        parts_of: Callable[[str], Sequence[Part]] | None = None,
        again: bool = False,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        self._topics = topics
        self._chat = chat
        self._results = results
        self._max_tags = max_tags
        self._by = by
        self._parts_of = parts_of
        self._again = again
        self._on_notice = on_notice or (lambda text: None)
        self._question = question_of(topics, max_tags=max_tags, by=by, model=chat.model)

    def todo(self, transcript_id: str) -> list[tuple[int, Part | None]]:
        """The places and parts that have no answer yet; None stands for the whole transcript.

        Raises what `parts_of` does.
        """
        parts = self._parts(transcript_id)
        if self._again:
            return list(enumerate(parts))
        found = self._results.found(transcript_id, self._question)
        return [(place, part) for place, part in enumerate(parts) if place not in found]

    def label(self, transcript_id: str) -> Outcome:
        """Ask about what has no answer yet. What was answered before an error is kept."""
        answers: list[ChatAnswer] = []
        error: GatewayError | None = None
        try:
            for place, part in self.todo(transcript_id):
                text = part.text if part is not None else None
                tags = tag_topics(
                    transcript_id, self._topics, chat=self._chat, max_tags=self._max_tags, text=text
                )
                answers += tags.answers
                self._results.keep(transcript_id, self._question, self._labelled(place, part, tags.topics))
        except GatewayError as raised:
            error = raised
        found = self._results.found(transcript_id, self._question)
        return Outcome(transcript_id, tuple(found.values()), tuple(answers), error)

    def label_all(self, transcript_ids: Sequence[str]) -> Generator[Outcome]:
        """Each transcript's outcome as it comes. When nobody takes more, what has not begun is left alone."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs: list[Future[Outcome]] = [pool.submit(self.label, one) for one in transcript_ids]
            try:
                for job in as_completed(jobs):
                    yield job.result()
            except KeyboardInterrupt:
                self._on_notice("Waiting for answers that are under way, and paid for; Ctrl-C leaves them.")
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _parts(self, transcript_id: str) -> Sequence[Part | None]:
        return (None,) if self._parts_of is None else self._parts_of(transcript_id)

    def _labelled(self, place: int, part: Part | None, topics: tuple[str, ...]) -> Labelled:
        if part is None:
            return Labelled(None, place, WHOLE, None, None, topics)
        return Labelled(self._by, place, part.name, part.start, part.end, topics)
