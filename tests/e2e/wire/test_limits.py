"""Bodies that stop, lie about their length or are too large, and heads that never end: none goes further."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gateway_process import GatewayProcess, TeamAccess, running_gateway
from raw_http import connected
from recording_upstream import JOB, RecordingUpstream, answering

from aai_gateway.emulator import Emulator

SMALL_UPLOAD, SMALL_CHAT = 3_000_000, 1_000_000
"""Bytes of an upload, and of a chat, that the impatient gateway takes."""
UPLOAD, SUBMIT, CHAT = "/assemblyai/v2/upload", "/assemblyai/v2/transcript", "/v1/chat/completions"
UPLOADED = {"upload_url": "https://cdn.assemblyai.com/upload/a/b"}
SILENT = "Nothing of the request's body came for 1 seconds."


@pytest.fixture(scope="module")
def impatient(
    emulator: Emulator, upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway with small limits, in front of the recording upstream."""
    with running_gateway(
        emulator,
        tmp_path_factory.mktemp("impatient"),
        AAI_GATEWAY_US_URL=upstream.url,
        AAI_GATEWAY_SETTLE_INTERVAL="3600",
        AAI_GATEWAY_CLIENT_TIMEOUT="1",
        AAI_GATEWAY_HEAD_TIMEOUT="1",
        AAI_GATEWAY_MAX_UPLOAD_BYTES=str(SMALL_UPLOAD),
        AAI_GATEWAY_MAX_BODY_BYTES=str(SMALL_CHAT),
    ) as gateway:
        yield gateway
        assert "Traceback" not in gateway.log.read_text()


@pytest.fixture(scope="module")
def hasty(impatient: GatewayProcess) -> TeamAccess:
    return impatient.team()


def said_to(url: str, parts: Iterable[bytes], *, leave: bool = False) -> bytes:
    """What the server says to these bytes until it closes, or nothing when the client leaves at once."""
    said = b""
    with connected(url) as connection, contextlib.suppress(ConnectionError):
        for part in parts:
            connection.sendall(part)
        if leave:
            connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(1 << 16):
            said += part
    return said


def head(path: str, key: str, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def told(said: bytes) -> tuple[int, str]:
    """Status and text of an error in AssemblyAI's or OpenAI's shape."""
    error = json.loads(said.partition(b"\r\n\r\n")[2])["error"]
    return int(said.split()[1]), error if isinstance(error, str) else error["message"]


def test_a_client_that_goes_silent_is_told_so_on_every_route(
    impatient: GatewayProcess, hasty: TeamAccess, upstream: RecordingUpstream
):
    key, master, length = hasty.key, impatient.master_key, "Content-Length: 1000"
    form = "Content-Type: multipart/form-data; boundary=x"
    silent = [
        [head(UPLOAD, key, length), b"a" * 10],
        [head(UPLOAD, key, "Transfer-Encoding: chunked"), b"5\r\nabc"],
        [head(SUBMIT, key, length), b"{"],
        [head(f"{SUBMIT}/{JOB}", master, "Content-Length: 1", method="GET")],
        [head(CHAT, key, length), b"{"],
        [head("/v1/audio/transcriptions", key, form, length), b"--x\r\n"],
        [head("/key/generate", master, length), b"{"],
    ]
    with ThreadPoolExecutor(len(silent)) as pool:
        answers = list(pool.map(lambda parts: said_to(impatient.url, parts), silent))
    assert [(408, SILENT)] * len(silent) == [told(said) for said in answers]
    assert upstream.ended.wait(30)
    assert [] == upstream.requests
    assert [] == list_of(impatient, hasty)


@pytest.mark.parametrize("framing", ["Content-Length: 2900000", "Transfer-Encoding: chunked"])
def test_an_upload_cut_short_is_never_whole_for_assemblyai(
    impatient: GatewayProcess, hasty: TeamAccess, upstream: RecordingUpstream, framing: str
):
    # More than fits into the buffers on the way, so that AssemblyAI has heard of it before the client leaves.
    body = b"a" * 2_800_000
    if "chunked" in framing:
        body = b"2ab980\r\n" + body + b"\r\n"
    assert b"" == said_to(impatient.url, [head(UPLOAD, hasty.key, framing), body], leave=True)
    assert upstream.ended.wait(30)
    assert [] == upstream.requests


def test_what_follows_a_body_is_no_part_of_it(
    impatient: GatewayProcess, hasty: TeamAccess, upstream: RecordingUpstream
):
    upstream.answer = answering(UPLOADED)
    said = said_to(impatient.url, [head(UPLOAD, hasty.key, "Content-Length: 3"), b"abcdefgh"])
    assert 200 == int(said.split()[1])
    assert [3] == [request.size for request in upstream.requests]


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_may_have_so_many_bytes(
    impatient: GatewayProcess, hasty: TeamAccess, upstream: RecordingUpstream, extra: int, chunked: bool
):
    upstream.answer = answering(UPLOADED)
    audio = b"a" * (SMALL_UPLOAD + extra)
    content = (audio[start : start + 65_536] for start in range(0, len(audio), 65_536))
    got = httpx.post(
        impatient.url + UPLOAD, headers=hasty.bearer, content=content if chunked else audio, timeout=60
    )
    if extra:
        text = f"The request body is larger than {SMALL_UPLOAD} bytes."
        assert (413, {"error": text}, []) == (got.status_code, got.json(), upstream.requests)
    else:
        assert (200, [SMALL_UPLOAD]) == (got.status_code, [request.size for request in upstream.requests])


def test_an_announced_size_is_refused_before_the_first_byte(
    impatient: GatewayProcess, hasty: TeamAccess, upstream: RecordingUpstream
):
    for path, limit in ((UPLOAD, SMALL_UPLOAD), (CHAT, SMALL_CHAT)):
        said = said_to(impatient.url, [head(path, hasty.key, f"Content-Length: {limit + 1}")])
        assert (413, f"The request body is larger than {limit} bytes.") == told(said)
    assert [] == upstream.requests


def test_nothing_large_is_kept_for_a_stranger(impatient: GatewayProcess):
    body = b'{"model": "' + b"a" * 100_000
    said = said_to(impatient.url, [head(CHAT, "sk-nobody", "Content-Length: 900000"), body])
    assert 401 == told(said)[0]


def test_a_head_that_does_not_end_is_not_waited_for(impatient: GatewayProcess):
    text = "The request's head did not come within 1 seconds."
    for begun in (b"GET /assemblyai/v2/transcript HTTP/1.1\r\n", b"GET /v1/models HTTP/1.1\r\nHost: x\r\nA"):
        assert (408, text) == told(said_to(impatient.url, [begun]))


def list_of(gateway: GatewayProcess, team: TeamAccess) -> list[object]:
    page = httpx.get(gateway.url + SUBMIT, headers=team.bearer).json()
    return list(page["transcripts"])
