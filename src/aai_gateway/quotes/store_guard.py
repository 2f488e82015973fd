"""Whether a Chroma store's files are as they were left; and, where not, a look at them by another process.

Damaged files do not only raise: Chroma 1.5.9 was seen to abort on a damaged `chroma.sqlite3`, to segfault on
damaged vectors, and to answer from a file cut in half as if nothing were wrong.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PROBE_SECONDS = 120.0
# float16 moves a vector by less than this; another window's vector is further off.
SAME = 0.01


def seal(folder: Path) -> str:
    """A digest of the names, sizes and times of the store's files; empty where there are none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    states = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(states).encode()).hexdigest() if states else ""


def probe(
    folder: Path, collection: str, samples: Mapping[str, Sequence[float]], seconds: float = PROBE_SECONDS
) -> str:
    """What is wrong with a store, nothing when another process opens it and finds `samples` in it.

    `samples` are window ids and their vectors.
    """
    request = json.dumps({"folder": str(folder), "collection": collection, "samples": dict(samples)})
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(  # noqa: S603  # this very module
            command, input=request, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it does not open within {seconds:g} seconds"
    if done.returncode < 0:
        return f"opening it ends the process with signal {-done.returncode}"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it does not open"])[-1][:200]
    return done.stdout.strip()


def main() -> None:
    """Read a request on standard input and print what is wrong with the store; nothing when all is well."""
    import chromadb
    from chromadb.config import Settings
    from chromadb.errors import NotFoundError

    request = json.load(sys.stdin)
    client = chromadb.PersistentClient(path=request["folder"], settings=Settings(anonymized_telemetry=False))
    samples = request["samples"]
    try:
        collection = client.get_collection(request["collection"], embedding_function=None)
    except NotFoundError:
        if samples:
            print("its collection is gone")
        return
    for id_, vector in samples.items():
        stored = collection.get(ids=[id_], include=["embeddings"])["embeddings"]
        found = collection.query(query_embeddings=[vector], n_results=1, include=["distances"])
        if not len(stored) or abs(stored[0] - vector).max() > SAME or not found["ids"][0]:
            print(f"window {id_} is not as it was stored")
            return
        if found["distances"][0][0] > SAME:
            print(f"window {id_} is not found")
            return


if __name__ == "__main__":
    main()
