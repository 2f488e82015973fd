"""What every run has: a folder to work in, and a way to say how far it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def workplace(kept: Path | None) -> Iterator[Path]:
    """The folder that is kept, made if need be, or one that goes in the end, on a disk and not in memory."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    with TemporaryDirectory(prefix="aai-gateway-bench-", dir="/var/tmp") as folder:
        yield Path(folder)


def tell(text: str) -> None:
    """Say on stderr what is being done."""
    print(f"… {text}", file=sys.stderr, flush=True)
