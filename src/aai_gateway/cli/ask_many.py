"""A question about many transcripts: answered from passages, each statement with what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aai_gateway.cli.ask_cited import printing, tell_cited
from aai_gateway.cli.client_options import open_chat, open_quotes, open_speech
from aai_gateway.cli.output import note, print_json
from aai_gateway.cli.quote_finding import Access
from aai_gateway.cli.quotes_index import add_transcript
from aai_gateway.cli.quotes_search import asking

if TYPE_CHECKING:
    from aai_gateway.quotes import QuoteIndex


def ask_many(
    ids: list[str],
    question: str,
    passages: int,
    max_tokens: int,
    access: Access,
    *,
    stream: bool,
    as_json: bool,
) -> None:
    """Print the answer from the transcripts of these ids, or of all in the index; of the chat's region alone.

    Transcripts that are not in the index are added. Raises what `search_visible` and `answer_from` do.
    """
    chat = open_chat(access.url, access.key, access.region, access.model)
    with open_quotes(access.namespace, access.key, access.chroma_url) as index, chat:
        from aai_gateway.quotes.answering import answer_from
        from aai_gateway.quotes.visible_search import search_visible

        _index_missing(index, ids, access)
        here = [one.id for one in index.transcripts() if one.region == access.region.value]
        found = search_visible(
            index,
            question,
            passages,
            asking(access.url, access.key),
            transcript_ids=[one for one in here if not ids or one in ids],
        )
        for transcript_id in found.removed:
            note(f"{transcript_id} can no longer be read, and is removed from the index.")
        answer = answer_from(
            question,
            found.quotes,
            index.sentences,
            chat=chat,
            max_tokens=max_tokens,
            reader=printing(with_transcript=True) if stream else None,
        )
    if as_json:
        print_json({"question": question, "passages": len(found.quotes), **answer.as_dict()})
        return
    tell_cited(answer, access, chat.model, streamed=stream)
    if not here:
        note(f"No transcript of {access.region.value} is indexed with this key: aai-gateway quotes sync")


def _index_missing(index: QuoteIndex, ids: list[str], access: Access) -> None:
    """Fetch and add the transcripts that are not in the index yet."""
    held = {one.id for one in index.transcripts()}
    missing = [one for one in ids if one not in held]
    if not missing:
        return
    from aai_gateway import speech, speech_listing

    client = open_speech(access.url, access.key, access.region)
    fetched = [speech.fetch(client, one) for one in missing]
    made_at = speech_listing.created_at(client, missing)
    for transcript in fetched:
        add_transcript(index, client, transcript, access.region, made_at.get(str(transcript.id)))
