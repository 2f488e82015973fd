"""Where a command writes what it makes: to stdout, or to a file that is there whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import typer

from aai_gateway.errors import ConfigurationError


class Output:
    """A text stream whose failures say what could not be written, not what was being read meanwhile."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def write(self, text: str) -> int:
        """Write text. Raises ConfigurationError, or Exit when nobody reads any more (`| head`)."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            _forget_stdout()
            raise typer.Exit(1) from None
        except OSError as error:
            raise ConfigurationError(f"{self._name} cannot be written: {error.strerror}.") from error

    def finish(self) -> None:
        """Bring what was written to its place."""
        try:
            self._stream.flush()
            if self._stream is not sys.stdout:
                os.fsync(self._stream.fileno())
        except BrokenPipeError:
            _forget_stdout()
            raise typer.Exit(1) from None
        except OSError as error:
            raise ConfigurationError(f"{self._name} cannot be written: {error.strerror}.") from error


def _forget_stdout() -> None:
    """Python flushes stdout once more at its end, which would fail again, loudly."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def output_to(path: Path | None, *, force: bool = False) -> Iterator[Output]:
    """Where to write: stdout for None, else the file `path`, which takes its name when the block ends well.

    Raises ConfigurationError for a file that is there already, unless `force`, or that cannot be written.
    """
    if path is None:
        output = Output(sys.stdout, "The output")
        yield output
        output.finish()
        return
    require_new(path, force=force)
    try:
        # Beside the target, so that the rename stays on one disk.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            output = Output(stream, str(path))
            yield output
            output.finish()
        require_new(path, force=force)
        _take_name(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def require_new(path: Path, *, force: bool) -> None:
    """Raise ConfigurationError for a path that is taken, or at which nothing can be written."""
    folder = path.absolute().parent
    try:
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder; name a file in it.")
        if path.exists() and not force:
            raise ConfigurationError(f"{path} exists already; choose another name or say --force.")
        if not folder.is_dir():
            raise ConfigurationError(f"{path} cannot be written: there is no folder {folder}.")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"{path} cannot be written: the folder {folder} is not yours to write in.")


def _take_name(unfinished: Path, path: Path) -> None:
    try:
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
