"""Options of the commands that are clients of a gateway, and what they stand for."""

from __future__ import annotations

import os
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.output import note
from aai_gateway.cli.progress import job_progress
from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError
from aai_gateway.wire_errors import usable_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    import assemblyai as aai

    from aai_gateway.chat_client import ChatAnswer, ChatClient
    from aai_gateway.quotes import QuoteIndex

Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The gateway's address. Default: $AAI_GATEWAY_URL."),
]
Key = Annotated[
    str | None,
    typer.Option("--key", metavar="SK", help="A virtual key. Default: $AAI_GATEWAY_KEY."),
]
InRegion = Annotated[Region, typer.Option("--region", help="The region that hears, keeps and answers.")]
ChatModel = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="A chat model. Default: $AAI_GATEWAY_CHAT_MODEL."),
]
Speakers = Annotated[
    bool, typer.Option("--speakers", help="Tell speakers apart when audio is transcribed first.")
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", metavar="NAME", help="Whose part of the index. Default: the key's own."),
]
ChromaUrl = Annotated[
    str | None,
    typer.Option(
        "--chroma-url",
        metavar="URL",
        help="A Chroma server that several may write to. Default: $AAI_GATEWAY_CHROMA_URL.",
    ),
]


class EmbeddingBackend(str, Enum):
    """What runs the embedding model."""

    AUTO = "auto"
    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCH = "torch"


Backend = Annotated[
    EmbeddingBackend | None,
    typer.Option(
        "--backend",
        help="What runs the embedding model. Default: $AAI_GATEWAY_EMBEDDING_BACKEND, else auto.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; times in milliseconds.")]


def gateway_url(url: str | None) -> str:
    """The gateway's address: the option's, else the setting's."""
    from aai_gateway.settings import load_settings

    return (url or str(load_settings().url)).rstrip("/")


def virtual_key(key: str | None) -> str:
    """The virtual key: the option's, else the setting's. Raises ConfigurationError when there is neither."""
    from aai_gateway.settings import load_settings

    configured = load_settings().key
    found = (key or (configured.get_secret_value() if configured else "")).strip()
    if not found:
        raise ConfigurationError(
            "There is no virtual key: set AAI_GATEWAY_KEY (or give --key). "
            "Whoever runs the gateway makes one with `aai-gateway keys create --team NAME`."
        )
    return found


def open_speech(url: str | None, key: str | None, region: Region) -> aai.Client:
    """The SDK's client for the options. Raises ConfigurationError."""
    from aai_gateway.speech import connect

    return connect(gateway_url(url), virtual_key(key), region)


def open_chat(url: str | None, key: str | None, region: Region, model: str | None) -> ChatClient:
    """The chat client for the options. Raises ConfigurationError."""
    from aai_gateway.chat_client import connect_chat
    from aai_gateway.settings import load_settings

    name = model or load_settings().chat_model
    return connect_chat(gateway_url(url), virtual_key(key), region=region, model=name)


def named_transcript(client: aai.Client, source: str, *, speakers: bool) -> aai.Transcript:
    """The transcript that `source` names: audio is transcribed first, an id is fetched.

    Raises what `speech.transcribe` and `speech.fetch` do.
    """
    import assemblyai as aai

    from aai_gateway import speech

    if not speech.is_audio(source):
        return speech.fetch(client, source)
    config = aai.TranscriptionConfig(speaker_labels=speakers or None)
    with job_progress([source]) as report:
        return speech.transcribe(client, source, config, on_progress=partial(report, source))


def namespace_for(namespace: str | None, key: str | None) -> str:
    """The index's namespace: as given, else the virtual key's own. Raises ConfigurationError."""
    from aai_gateway.quotes.index_folder import namespace_of

    return namespace if namespace is not None else namespace_of(virtual_key(key))


def open_quotes(
    namespace: str | None,
    key: str | None,
    chroma_url: str | None = None,
    backend: EmbeddingBackend | None = None,
) -> QuoteIndex:
    """The quote index for the options; what it mends is said on stderr.

    Raises IndexUnavailable, and ConfigurationError for an address that is none.
    """
    # Before NumPy is loaded: its matrices are small here, and to start threads takes longer than they do.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from aai_gateway.quotes import open_index

    return open_index(
        namespace_for(namespace, key),
        chroma_url=usable_url(chroma_url) if chroma_url else None,
        backend=backend.value if backend else None,
        on_notice=note,
    )


def timestamp(milliseconds: int) -> str:
    """A position in a recording for people: `H:MM:SS.mmm`."""
    seconds, millis = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}.{millis:03}"


def spent(answers: Sequence[ChatAnswer]) -> str:
    """What answers took, in one line: model, tokens, and the cost when the gateway said all of it."""
    tokens = (sum(a.prompt_tokens for a in answers), sum(a.completion_tokens for a in answers))
    costs = [answer.cost for answer in answers]
    line = f"{answers[0].model}, {tokens[0]:,} tokens in, {tokens[1]:,} out"
    known = [cost for cost in costs if cost is not None]
    return f"{line}, ${sum(known):.6f}" if len(known) == len(costs) else line
