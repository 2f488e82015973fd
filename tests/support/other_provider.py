"""Another provider than AssemblyAI, OpenAI-like, that remembers every request that reaches it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_CHAT = {
    "id": "chatcmpl-other",
    "object": "chat.completion",
    "created": 1,
    "model": "other",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Elsewhere."}}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    # So that one body answers for embeddings, too.
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}],
}


@dataclass
class OtherProvider:
    """What has arrived: method and path of each request, a `CONNECT` through it as a proxy included.

    But for `looks`: LiteLLM asks for lists of models by itself, every few minutes and for no client.
    """

    url: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    looks: int = 0
    fails_with: int | None = None
    """A status to refuse everything with."""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


@contextmanager
def other_provider() -> Iterator[OtherProvider]:
    """Run one in threads, on a port that the system chooses."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if (self.command, self.path, body) == ("GET", "/v1/models", b""):
                provider.looks += 1
            else:
                provider.requests.append((self.command, self.path))
                provider.bodies.append(_json(body))
            answer = json.dumps(_CHAT).encode()
            self.send_response(provider.fails_with or (502 if self.command == "CONNECT" else 200))
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PUT = do_DELETE = do_HEAD = do_CONNECT = do_GET  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients may hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        provider = OtherProvider(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield provider
        finally:
            server.shutdown()
