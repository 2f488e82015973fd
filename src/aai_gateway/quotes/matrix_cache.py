"""Matrices that were read from a library, kept while they are used; one cache for the process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

MOST_BYTES = 256 * 2**20


class MatrixCache:
    """The matrices used last, up to `most_bytes` of them. A key has to name one matrix for ever."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, Matrix] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable, read: Callable[[], Matrix]) -> Matrix:
        """The matrix of this key, read unless it is kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        matrix = read()
        with self._lock:
            if key not in self._kept and matrix.nbytes <= self._most_bytes:
                self._kept[key] = matrix
                self._bytes += matrix.nbytes
            while self._bytes > self._most_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.nbytes
        return matrix


MATRICES = MatrixCache()
