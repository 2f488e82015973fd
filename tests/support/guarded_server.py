"""uvicorn with the gateway's limits and an application that says what reached it; run as a process.

Its arguments are the port and the limits: seconds and bytes of a head, bytes of a URL, connections.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import Any

import uvicorn

from aai_gateway.gateway.server_host import ConnectionLimits, guard_connections, raise_file_limit

LOW_LIMIT = 300


async def app(scope: Any, receive: Any, send: Any) -> None:
    """What was asked, as JSON. `/early` answers before it reads, `/slow` in its own time."""
    if scope["type"] != "http":
        return
    said: dict[str, Any] = {
        "path": scope["path"],
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }
    size, more = 0, not scope["path"].startswith("/early")
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    if scope["path"].startswith("/slow"):
        await asyncio.sleep(0.8)
    said |= {"size": size, "headers": [name.decode("latin-1") for name, _ in scope["headers"]]}
    body = json.dumps(said).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    port, seconds, head, url, connections = sys.argv[1:]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (LOW_LIMIT, hard))
    raise_file_limit()
    limits = ConnectionLimits(float(seconds), int(head), int(url), int(connections))
    assert guard_connections(limits)
    assert guard_connections(limits)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
