"""Valid requests of a team, broken at the byte level, and what a server says to them.

As a script it sends any number of them to a gateway of its own:
`PYTHONPATH=src python tests/support/wire_fuzz.py 5000 [SEED]`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from gateway_process import GatewayProcess, TeamAccess, running_gateway

from aai_gateway.core.operations import route_of
from aai_gateway.emulator import EmulatorConfig, running_emulator

KEY = b"@KEY@"
"""Stands for the key while a request is broken: a key that is only almost right is another test's."""
AT_ONCE = 16
PATIENCE = 2.0
"""Seconds until a client that has been told nothing says that it has nothing more to say."""
BOUND = 60.0
"""Seconds within which a connection must have ended; a server that hangs does not."""

_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3}) ", re.MULTILINE)
_NASTY = (
    *(b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"%00", b"%2e%2e/", b"/../", b"//", b";", b"#", b"?", b"\\"),
    *(b"\r\nTransfer-Encoding: chunked", b"\r\nContent-Length: 5", b"\r\nContent-Length: 0", b"\r\nHost: y"),
    *(b"\r\nx-api-key: sk-other", b"\r\nExpect: 100-continue", b"\r\nConnection: Upgrade\r\nUpgrade: h2c"),
    *(b"\r\nContent-Type: multipart/form-data; boundary=x", b"\r\nX-HTTP-Method-Override: DELETE"),
    *(b"[" * 500, b'{"', b'"}', b"null", b"NaN", b"1e999", b"-1", b"9" * 400, b"\\ud800", b"\\u0000", b","),
    *(b"a" * 5000, b"eu.", b"assemblyai", b"/v2/", b"GET ", b"HEAD ", b"TRACE ", b"HTTP/1.0", b"http://y/"),
)


@dataclass(frozen=True)
class Scene:
    """An attacking team, a victim's transcript, and the text that only the victim may see."""

    gateway: GatewayProcess
    attacker: TeamAccess
    victim: TeamAccess
    victims_id: str
    marker: str

    @staticmethod
    def of(gateway: GatewayProcess) -> Scene:
        """A new scene on a running gateway."""
        attacker, victim = gateway.team(), gateway.team()
        marker = f"marker-{random.SystemRandom().randrange(10**12)}"
        made = httpx.post(
            f"{gateway.url}/assemblyai/v2/transcript",
            headers=victim.bearer,
            json={"audio_url": f"https://example.org/{marker}.wav"},
        ).raise_for_status()
        return Scene(gateway, attacker, victim, made.json()["id"], marker)

    def requests(self) -> list[bytes]:
        """Requests that a team may make, some of them for what is the victim's."""
        job = b'{"audio_url": "https://example.org/a.wav", "speaker_labels": true, "audio_end_at": 5000}'
        chat = b'{"model": "assemblyai/claude-sonnet-4-6", "max_tokens": 5, %s "messages": [%s]}'
        hi = b'{"role": "user", "content": "hi"}'
        theirs = b'"transcript_id": "%s",' % self.victims_id.encode()
        transcript = f"/assemblyai/v2/transcript/{self.victims_id}"
        return [
            *(
                _request("GET", transcript + end)
                for end in ("", "/srt", "/sentences", "/word-search?words=a")
            ),
            *(_request("DELETE", path + transcript) for path in ("", "/eu.assemblyai/..", "/./")),
            *(_request("GET", f"/{r}assemblyai/v2/transcript?limit=5&status=queued") for r in ("", "eu.")),
            *(_request("POST", f"/{r}assemblyai/v2/transcript", job) for r in ("", "eu.")),
            _request("POST", "/assemblyai/v2/upload", b"RIFF" + bytes(range(256))),
            _request(
                "POST", "/assemblyai/v2/upload", b"5\r\nabcde\r\n0\r\n\r\n", "Transfer-Encoding: chunked"
            ),
            _request("POST", "/v1/chat/completions", chat % (b"", hi)),
            _request("POST", "/v1/chat/completions", chat % (theirs, hi)),
            _request("POST", "/v1/responses", chat % (b'"input": "hi",', hi)),
            _request("POST", "/v1/messages", chat % (b"", hi)),
            *(
                _request("GET", path)
                for path in ("/v1/models", "/key/list", "/metrics", "/health/liveliness")
            ),
            _request("POST", "/key/generate", b'{"key_alias": "a"}'),
        ]


@dataclass
class Report:
    """How often which status was answered (0: the connection ended without), and what must not have been."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)


def broken(scene: Scene, count: int, seed: int) -> Iterator[bytes]:
    """`count` requests, each broken in one to four places; the same ones for a seed."""
    rng, requests = random.Random(seed), scene.requests()
    for _ in range(count):
        data = rng.choice(requests)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            data = _break(rng, data, requests)
        if rng.random() < 0.7:
            data = _framed(data)
        yield data.replace(KEY, scene.attacker.key.encode())


async def send_all(scene: Scene, requests: Iterator[bytes]) -> Report:
    """Send them, a few at once, and judge each answer."""
    report = Report()

    async def work() -> None:
        for data in requests:
            started = time.monotonic()
            said = await _conversation(scene.gateway.url, data)
            _judge(scene, data, said, time.monotonic() - started, report)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return report


def _request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    framing = [] if "chunked" in "".join(headers) else [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway", "Authorization: Bearer @KEY@", *framing, *headers]
    return "\r\n".join([*lines, "Accept: */*", "Connection: close", "", ""]).encode() + body


def _break(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    # Half of the time in the body, if there is one: most of what is broken in a head is not read any further.
    body = data.find(b"\r\n\r\n") + 4
    at = rng.randrange(body if 4 < body < len(data) and rng.random() < 0.5 else 0, len(data) + 1)
    until = min(len(data), at + rng.choice((1, 1, 2, 8, 40)))
    kind = rng.randrange(8)
    if kind == 0:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + data[until:]
    if kind == 2:
        return data[:until] + data[at:until] * rng.randint(1, 30) + data[until:]
    if kind == 3:
        head, gap, body = data.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        rng.shuffle(lines)
        return b"\r\n".join([first, *lines]) + gap + body
    if kind == 4:
        other = rng.choice(others)
        return data[:at] + other[rng.randrange(len(other)) :]
    if kind == 5:
        return data[:at].swapcase() + data[at:]
    return data[:at] + rng.choice(_NASTY) + data[at if kind == 6 else until :]


def _framed(data: bytes) -> bytes:
    """The same with a `Content-Length` that holds, so that what is broken is read further."""
    body = data.partition(b"\r\n\r\n")[2]
    return re.sub(rb"(?i)content-length: ?\d+", b"Content-Length: %d" % len(body), data, count=1)


async def _conversation(url: str, data: bytes) -> bytes | None:
    """What is said until the connection ends; None when it does not."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    reading = asyncio.ensure_future(reader.read())
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await asyncio.wait_for(writer.drain(), BOUND)
            if not (await asyncio.wait([reading], timeout=PATIENCE))[0]:
                writer.write_eof()
            return await asyncio.wait_for(reading, BOUND)
        return b""
    except asyncio.TimeoutError:
        return None
    finally:
        reading.cancel()
        writer.close()


def _judge(scene: Scene, data: bytes, said: bytes | None, seconds: float, report: Report) -> None:
    shown = f"{data[:300]!r} -> {(said or b'')[:300]!r} after {seconds:.0f} s"
    if said is None:
        report.wrongs.append(f"no end: {shown}")
        return
    statuses = [int(status) for status in _STATUS.findall(said)]
    report.statuses.update(statuses or [0])
    if any(status >= 500 for status in statuses):
        report.wrongs.append(f"a server error: {shown}")
    if scene.marker.encode() in said or scene.victim.key.encode() in said:
        report.wrongs.append(f"another team's: {shown}")
    target = (data.split(b" ", 2)[1:2] or [b""])[0].decode("latin-1")
    if route_of(target.partition("?")[0]) is not None and b"\nx-litellm" in said.lower():
        report.wrongs.append(f"LiteLLM's own: {shown}")


def main() -> None:
    count, seed = int(sys.argv[1]), int((sys.argv[2:] or ["1"])[0])
    with (
        running_emulator(EmulatorConfig(job_seconds=0.2)) as emulator,
        tempfile.TemporaryDirectory() as place,
        running_gateway(emulator, Path(place)) as gateway,
    ):
        scene = Scene.of(gateway)
        report = asyncio.run(send_all(scene, broken(scene, count, seed)))
    print(f"{count} requests, seed {seed}; answers by status: {dict(sorted(report.statuses.items()))}")
    print(f"wrong: {len(report.wrongs)}", *report.wrongs[:20], sep="\n")


if __name__ == "__main__":
    main()
