"""How the library keeps words and vectors in little room. Pure.

Vectors are kept as float16: half the room, and a cosine moves by less than 0.001.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.quotes.windows import WINDOW_OVERLAP, WINDOW_SIZE, Word

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

STEP = WINDOW_SIZE - WINDOW_OVERLAP


def packed_words(words: Sequence[Word], text: str) -> bytes:
    """A sentence's words as bytes: their times, and their texts where these are not the sentence's own."""
    times = struct.pack(f"<I{2 * len(words)}q", len(words), *(t for w in words for t in (w.start, w.end)))
    texts = [word.text for word in words]
    return times if texts == text.split() else times + "\0".join(texts).encode()


def unpacked_words(packed: bytes, text: str) -> tuple[Word, ...]:
    """The words that were packed with this sentence's text."""
    (count,) = struct.unpack_from("<I", packed)
    times = struct.unpack_from(f"<{2 * count}q", packed, 4)
    rest = packed[4 + 16 * count :]
    texts = rest.decode().split("\0") if rest else text.split()
    return tuple(map(Word, texts if count else (), times[::2], times[1::2]))


def packed_vectors(vectors: Matrix) -> bytes:
    """Rows of float32 as little-endian float16."""
    return vectors.astype("<f2").tobytes()


def unpacked_vectors(parts: Sequence[bytes], rows: int) -> Matrix:
    """`rows` rows of float32, at least one, of what was packed in parts."""
    whole = np.empty(sum(map(len, parts)) // 2, np.float32)
    place = 0
    for part in parts:
        values = np.frombuffer(part, "<f2")
        whole[place : place + len(values)] = values
        place += len(values)
    return whole.reshape(rows, -1)


def window_count(sentences: int) -> int:
    """How many windows `windows()` makes of so many sentences."""
    return len(_starts(sentences))


def window_span(number: int, sentences: int) -> tuple[int, int]:
    """First and last sentence, inclusive, of a transcript's window of this number."""
    return number * STEP, min(number * STEP + WINDOW_SIZE, sentences) - 1


def pooled(vectors: Matrix) -> Matrix:
    """The windows' vectors, from the sentences': the mean of each window's, normalised; in order."""
    count = len(vectors)
    starts = np.asarray(_starts(count), dtype=np.intp)
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    means = sums[np.minimum(starts + WINDOW_SIZE, count)] - sums[starts]
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    unit: Matrix = (means / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit


def _starts(sentences: int) -> range:
    return range(0, max(sentences - WINDOW_OVERLAP, min(sentences, 1)), STEP)
