"""Texts to vectors: tokenised at once, sorted by length, run in batches of about the same number of tokens.

A batch is as long as its longest text, so that sorting leaves next to nothing to pad.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from aai_gateway.quotes.model_folder import ModelFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aai_gateway.quotes.embedder import Matrix

    Ids = NDArray[np.int64]

BATCH_TOKENS = 512
"""Tokens of a batch: enough to keep two cores busy, few enough to stay in their caches."""
MATRIX_BATCH_TOKENS = 2048
"""The same where the processor has matrix units, which are idle while smaller batches are fed to them."""


class TokenModel(Protocol):
    """A transformer on some backend, which does best with batches of so many tokens."""

    batch_tokens: int

    def hidden_states(self, ids: Ids, mask: Ids) -> Matrix:
        """(texts, tokens, dimensions) for (texts, tokens) of ids, where `mask` is 0 for padding."""
        ...


class Encoder:
    """Encodes texts with a folder's tokenizer and pooling, and its transformer on some backend."""

    def __init__(self, folder: ModelFolder, model: TokenModel) -> None:
        from tokenizers import Tokenizer

        self._pooling = folder.pooling
        self._model = model
        self._tokenizer = Tokenizer.from_file(str(folder.tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(folder.max_tokens)

    def encode(self, texts: Sequence[str]) -> Matrix:
        """One normalised float32 row for each text, in order."""
        tokens = [one.ids for one in self._tokenizer.encode_batch([text.strip() for text in texts])]
        rows: list[Matrix] = [np.zeros(0, np.float32)] * len(tokens)
        for batch in batches([len(ids) for ids in tokens], self._model.batch_tokens):
            length = max(len(tokens[place]) for place in batch)
            ids = np.zeros((len(batch), length), np.int64)
            mask = np.zeros((len(batch), length), np.int64)
            for row, place in enumerate(batch):
                ids[row, : len(tokens[place])] = tokens[place]
                mask[row, : len(tokens[place])] = 1
            pooled = self._pooled(self._model.hidden_states(ids, mask), mask)
            for place, vector in zip(batch, pooled, strict=True):
                rows[place] = vector
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def _pooled(self, hidden: Matrix, mask: Ids) -> Matrix:
        if self._pooling == "cls":
            vectors = hidden[:, 0]
        else:
            vectors = np.einsum("btd,bt->bd", hidden, mask.astype(np.float32))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        normalised: Matrix = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
        return normalised


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Places of texts of these lengths in tokens, the longest first, in batches of `budget` tokens, padded.

    A longer text is a batch of its own.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
