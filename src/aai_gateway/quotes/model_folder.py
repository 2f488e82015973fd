"""A sentence-transformers model's folder: what is in it that encoding needs, read without loading the model.

Layout: Sentence Transformers documentation, "Saving and Loading Sentence Transformer Models".
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Pooling = Literal["mean", "cls"]

_TRANSFORMER, _POOLING, _NORMALIZE = "Transformer", "Pooling", "Normalize"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A transformer whose tokens are pooled to one vector. Texts are cut off at `max_tokens`."""

    path: Path
    transformer: Path
    pooling: Pooling
    max_tokens: int

    @property
    def tokenizer(self) -> Path:
        """The file of its fast tokenizer."""
        return self.transformer / "tokenizer.json"

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with its weights: of their files' sizes, first and last bytes."""
        digest = hashlib.sha256()
        for file in sorted([*self.transformer.glob("*.safetensors"), *self.transformer.glob("*.bin")]):
            digest.update(f"{file.name} {file.stat().st_size}".encode())
            with file.open("rb") as stream:
                digest.update(stream.read(1 << 20))
                stream.seek(max(0, file.stat().st_size - (1 << 20)))
                digest.update(stream.read())
        digest.update((self.transformer / "config.json").read_bytes())
        return digest.hexdigest()[:12]


def read_model_folder(path: Path) -> ModelFolder | None:
    """What `path` holds; None for a model of another make, which only its own library can run."""
    try:
        modules = json.loads((path / "modules.json").read_text(encoding="utf-8"))
        kinds = {str(module["type"]).rpartition(".")[2]: path / module["path"] for module in modules}
        if not {_TRANSFORMER, _POOLING} <= kinds.keys() <= {_TRANSFORMER, _POOLING, _NORMALIZE}:
            return None
        transformer = kinds[_TRANSFORMER]
        pooling = _pooling(json.loads((kinds[_POOLING] / "config.json").read_text(encoding="utf-8")))
        limits = json.loads((path / "sentence_bert_config.json").read_text(encoding="utf-8"))
        if limits.get("do_lower_case") or _has_prompt(path / "config_sentence_transformers.json"):
            return None
        folder = ModelFolder(path, transformer, pooling, int(limits["max_seq_length"])) if pooling else None
        return folder if folder and folder.tokenizer.exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _pooling(config: dict[str, Any]) -> Pooling | None:
    """How tokens are pooled, in the older and the newer form; None for another way than these two."""
    asked = {name for name, on in config.items() if name.startswith("pooling_mode_") and on is True}
    mode = config.get("pooling_mode")
    if asked == {"pooling_mode_mean_tokens"} or (not asked and mode == "mean"):
        return "mean"
    return "cls" if asked == {"pooling_mode_cls_token"} or (not asked and mode == "cls") else None


def _has_prompt(config: Path) -> bool:
    """Whether every text is to be given a beginning, which encoding here does not do."""
    return config.exists() and bool(json.loads(config.read_text(encoding="utf-8")).get("default_prompt_name"))
