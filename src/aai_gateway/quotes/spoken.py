"""A transcript prepared for finding many claims in it: its words, their tokens, how rare each is, and where.

Everything is made once; a claim then takes milliseconds.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from aai_gateway.quotes.tokens import Token, is_filler, spaced, tokenize, words_of
from aai_gateway.quotes.windows import Sentence, Word

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]

FILLER_WEIGHT = 0.05
UNHEARD_WEIGHT = 1.0
"""The weight of a claim's token that the transcript does not have: that of a token heard once."""
SHORTEST_NEAR = 4
"""Shorter words are alike only when they are the same: "not" is never "now" misspelt."""
NEAR = 0.7
"""Words are spellings of one another from this likeness on: of ten letters, three may differ."""

_ELLIPSIS = re.compile(r"\s*(?:\[\s*(?:…|\.{3,})\s*\]|…|\.{3,}|(?:\.\s){2,}\.)\s*")


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said to have been said. `breaks` are the numbers of the tokens that follow an ellipsis."""

    text: str
    tokens: tuple[Token, ...]
    breaks: frozenset[int]

    @classmethod
    def of(cls, text: str) -> Claim:
        """The claim of a text. An ellipsis at either end says nothing."""
        tokens: list[Token] = []
        breaks = []
        words = 0
        for part in _ELLIPSIS.split(text):
            found = tokenize(part.split())
            if found:
                breaks.append(len(tokens))
                tokens += [Token(one.text, one.first + words, one.last + words) for one in found]
            words += len(part.split())
        return cls(text, tuple(tokens), frozenset(breaks[1:]))

    @property
    def words(self) -> list[str]:
        """What the tokens' numbers of words count: the text's words without ellipses."""
        return _ELLIPSIS.sub(" ", self.text).split()

    def words_of(self, token: Token) -> list[str]:
        """The words that a token was made of."""
        return self.words[token.first : token.last + 1]


class Spoken:
    """A transcript's sentences, prepared. Make it with `Spoken.of`."""

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        self.sentences = tuple(sentences)
        spoken = [words_of(sentence) for sentence in self.sentences]
        self.words: tuple[Word, ...] = tuple(chain.from_iterable(spoken))
        self.sentence_of: Ints = np.repeat(np.arange(len(spoken)), [len(words) for words in spoken])
        """The place in `sentences` of each word's."""
        parts = [
            part
            for sentence, words in zip(self.sentences, spoken, strict=True)
            for part in spaced(words, sentence.text)
        ]
        self.text = "".join(parts)
        self._begins = np.cumsum([0, *map(len, parts)])[:-1].tolist()
        self._ends = [begin + len(word.text) for begin, word in zip(self._begins, self.words, strict=True)]
        self.tokens = tokenize(word.text for word in self.words)
        texts = [token.text for token in self.tokens]
        self.vocabulary = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        self.ids = np.array([self.vocabulary[text] for text in texts], np.int64)
        counts = np.bincount(self.ids, minlength=len(self.vocabulary))
        self._rareness = _rareness_of(counts, max(2, len(texts)))
        self.filler = np.array(is_filler(texts), bool)
        self.weights = np.where(self.filler, FILLER_WEIGHT, self._rareness[self.ids]).astype(np.float32)
        self.token_sentence: Ints = self.sentence_of[
            np.array([token.first for token in self.tokens], np.int64)
        ]
        """The place in `sentences` of each token's first word."""
        by_id = np.argsort(self.ids, kind="stable")
        ends = np.cumsum(counts)
        self._places = np.split(by_id, ends[:-1]) if len(ends) else []
        self._likeness: dict[str, Floats] = {}
        self._long = [text for text in self.vocabulary if _may_be_near(text)]
        self._long_ids = np.array([self.vocabulary[text] for text in self._long], np.int64)

    @classmethod
    def of(cls, sentences: Sequence[Sentence] | Spoken) -> Spoken:
        """Sentences prepared; what is prepared already is given back."""
        return sentences if isinstance(sentences, Spoken) else cls(sentences)

    def words_of(self, token: Token) -> list[str]:
        """The words that a token was made of."""
        return [word.text for word in self.words[token.first : token.last + 1]]

    def words_between(self, first: int, last: int) -> tuple[int, int]:
        """The first and last word of sentences `first` to `last`, places from 0, inclusive."""
        begin, end = np.searchsorted(self.sentence_of, [first, last + 1]).tolist()
        return begin, end - 1

    def places(self, token: str) -> Ints:
        """The numbers of the tokens that are the same as this one, in order."""
        number = self.vocabulary.get(token)
        return np.zeros(0, np.int64) if number is None else self._places[number]

    def weights_of(self, tokens: Sequence[str]) -> Floats:
        """The weight of each of a claim's tokens: 1 for one heard once, less the oftener it is heard."""
        found = [
            FILLER_WEIGHT if filler else self._rareness[self.vocabulary.get(token, -1)]
            for token, filler in zip(tokens, is_filler(tokens), strict=True)
        ]
        return np.array(found, np.float32)

    def likeness(self, tokens: Sequence[str]) -> list[Floats]:
        """For each token its likeness to all of the vocabulary: 1 the same, NEAR to 1 nearly, else 0."""
        new = [token for token in dict.fromkeys(tokens) if token not in self._likeness]
        near = [token for token in new if _may_be_near(token)]
        rows = np.zeros((len(new), len(self.vocabulary)), np.float32)
        if near and self._long:
            alike = cdist(
                near,
                self._long,
                scorer=Levenshtein.normalized_similarity,
                score_cutoff=NEAR,
                dtype=np.float32,
            )
            rows[np.ix_(np.array([new.index(token) for token in near]), self._long_ids)] = alike
        for token, row in zip(new, rows, strict=True):
            if token in self.vocabulary:
                row[self.vocabulary[token]] = 1.0
            self._likeness[token] = row
        return [self._likeness[token] for token in tokens]

    def written(self, text: str) -> list[tuple[int, int]]:
        """(first, last) word of every place where a text stands letter for letter, in whole words."""
        wanted = " ".join(text.split())
        found, begin = [], self.text.find(wanted) if wanted else -1
        while begin >= 0:
            first = bisect_left(self._begins, begin)
            last = bisect_left(self._ends, begin + len(wanted))
            if self._begins[first : first + 1] == [begin] and self._ends[last] == begin + len(wanted):
                found.append((first, last))
            begin = self.text.find(wanted, begin + 1)
        return found

    def text_of(self, first: int, last: int) -> str:
        """What words `first` to `last`, inclusive, are in the transcript, spaces as there."""
        return self.text[self._begins[first] : self._ends[last]]


def _rareness_of(counts: Ints, whole: int) -> Floats:
    """The weight of each token of the vocabulary; the last is that of any other."""
    weights = np.log1p(whole / np.maximum(counts, 1)) / np.log1p(whole)
    return np.append(weights, UNHEARD_WEIGHT).astype(np.float32)


def _may_be_near(token: str) -> bool:
    return len(token) >= SHORTEST_NEAR and token.isalpha()
