"""A file of which only parts were kept: what mutagen reads in place of a second copy of an upload."""

from __future__ import annotations

import os
from collections.abc import Iterable


class Gap(Exception):
    """Bytes were asked for that were not kept.

    No OSError: mutagen takes some of those for the file's end, and would answer out of what is not there.
    """


class SparseFile:
    """A read-only, seekable file of its true size."""

    def __init__(self, size: int, parts: Iterable[tuple[int, bytes]]) -> None:
        """`parts` are (offset, bytes), ordered by their offset; those that touch or overlap become one."""
        self.size = size
        self._parts: list[tuple[int, bytes]] = []
        self._at = 0
        for offset, data in parts:
            self._add(offset, data)

    def _add(self, offset: int, data: bytes) -> None:
        if self._parts:
            last_offset, last = self._parts[-1]
            if offset <= (end := last_offset + len(last)):
                self._parts[-1] = (last_offset, last + data[end - offset :])
                return
        self._parts.append((offset, data))

    def known_from(self, offset: int) -> bytes:
        """The bytes from `offset` on, up to the first that was not kept. Raises Gap when there are none."""
        for begin, data in self._parts:
            if begin <= offset < begin + len(data):
                return data[offset - begin :]
        raise Gap

    def last_part(self) -> bytes:
        """The bytes that are known up to the end."""
        return self._parts[-1][1]

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes, like any file's. Raises Gap when one of them was not kept."""
        left = max(self.size - self._at, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted == 0:
            return b""
        for begin, data in self._parts:
            if begin <= self._at and self._at + wanted <= begin + len(data):
                found = data[self._at - begin : self._at - begin + wanted]
                self._at += wanted
                return found
        raise Gap

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset`; past the end is allowed. Raises OSError for before the beginning."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError("negative seek position")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at
