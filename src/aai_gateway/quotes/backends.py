"""What a transformer is run by: ONNX Runtime, OpenVINO or PyTorch.

ONNX Runtime starts in a fraction of a second where PyTorch and its libraries take ten, and is the faster one
on most processors without matrix units. The model is converted once and kept in the cache directory, its
weights in a file of their own: that is mapped into memory, not read, so that a search starts at once.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aai_gateway.errors import IndexUnavailable
from aai_gateway.quotes.encoding import BATCH_TOKENS, MATRIX_BATCH_TOKENS, TokenModel
from aai_gateway.quotes.model_folder import ModelFolder

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix
    from aai_gateway.quotes.encoding import Ids

Backend = Literal["onnx", "openvino", "torch"]

MODEL_FILE = "model.onnx"
WEIGHTS_FILE = "weights.bin"
LOCK_FILE = "converting.lock"
CPUINFO = Path("/proc/cpuinfo")
QUESTION_TOKENS = 128
"""The most, with padding, of a first batch that is taken for a question."""

_OPSET = 17
_INPUTS = ("input_ids", "attention_mask")


def open_model(
    folder: ModelFolder, backend: Backend, cache: Path, on_notice: Callable[[str], None] = lambda text: None
) -> TokenModel:
    """A folder's transformer, ready to run. Raises IndexUnavailable where the backend is not installed.

    `on_notice` is told, in a sentence, when it has to be converted first, which takes some ten seconds.
    """
    if backend == "onnx":
        require("onnxruntime", "onnx", backend=backend)
        return OnnxModel(_converted(folder, cache, on_notice))
    if backend == "openvino":
        require("openvino", "onnx", backend=backend)
        return OpenVinoModel(_converted(folder, cache, on_notice), cache)
    return TorchModel(folder)


def require(*packages: str, backend: str) -> None:
    """Raise IndexUnavailable, saying how to install it, when a package of a backend is missing."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise IndexUnavailable(
            f"The backend {backend} needs {' and '.join(missing)}: pip install {' '.join(missing)}, or use "
            "another AAI_GATEWAY_EMBEDDING_BACKEND."
        )


class OnnxModel:
    """ONNX Runtime on the processor, in float32.

    To pack the weights for speed and to start threads takes longer than to encode a question: a process
    that encodes nothing else does without.
    """

    batch_tokens = BATCH_TOKENS

    def __init__(self, file: Path) -> None:
        self._file = file
        self._session: Any = None
        self._packed = False

    def hidden_states(self, ids: Ids, mask: Ids) -> Matrix:
        if not self._packed:
            self._packed = self._session is not None or ids.size > QUESTION_TOKENS
            self._session = self._opened(packed=self._packed)
        hidden: Matrix = self._session.run(None, dict(zip(_INPUTS, (ids, mask), strict=True)))[0]
        return hidden

    def _opened(self, *, packed: bool) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if not packed:
            options.add_session_config_entry("session.disable_prepacking", "1")
            options.intra_op_num_threads = 1
        try:
            return onnxruntime.InferenceSession(str(self._file), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise IndexUnavailable(
                f"The converted embedding model cannot be loaded ({reason}). Delete the folder "
                f"{self._file.parent}: it is made again."
            ) from error


class OpenVinoModel:
    """OpenVINO on the processor, in the precision that it finds best there: bfloat16 where that is native."""

    def __init__(self, file: Path, cache: Path) -> None:
        import openvino

        self.batch_tokens = MATRIX_BATCH_TOKENS if has_amx() else BATCH_TOKENS
        core = openvino.Core()
        settings = {"CACHE_DIR": str(cache / "openvino"), "PERFORMANCE_HINT": "LATENCY"}
        self._model = core.compile_model(core.read_model(str(file)), "CPU", settings)

    def hidden_states(self, ids: Ids, mask: Ids) -> Matrix:
        hidden: Matrix = self._model([ids, mask])[0]
        return hidden


class TorchModel:
    """PyTorch, in bfloat16 where the processor multiplies matrices of it (AMX), else in float32."""

    def __init__(self, folder: ModelFolder, *, bfloat16: bool | None = None) -> None:
        import torch

        bfloat16 = has_amx() if bfloat16 is None else bfloat16
        self.batch_tokens = MATRIX_BATCH_TOKENS if bfloat16 else BATCH_TOKENS
        self._torch = torch
        self._model = _transformer(folder)
        if bfloat16:
            self._model.to(torch.bfloat16)

    def hidden_states(self, ids: Ids, mask: Ids) -> Matrix:
        torch = self._torch
        with torch.inference_mode():
            hidden = self._model(torch.from_numpy(ids), torch.from_numpy(mask)).last_hidden_state
        made: Matrix = hidden.float().numpy()
        return made


def fastest() -> tuple[Backend, int] | None:
    """The backend that is much faster than ONNX Runtime on this processor, and for how many texts.

    To start it takes as long as ONNX Runtime needs for about so many. None where there is no such backend.
    """
    if has_bfloat16() and find_spec("openvino"):
        return "openvino", 1_000
    return ("torch", 5_000) if has_amx() else None


def has_amx(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the processor multiplies matrices of bfloat16; elsewhere PyTorch is slower with it."""
    return "amx_bf16" in _processor_flags(cpuinfo)


def has_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the processor multiplies bfloat16, by matrices or by vectors: OpenVINO then computes in it."""
    return not _processor_flags(cpuinfo).isdisjoint({"amx_bf16", "avx512_bf16"})


def _processor_flags(cpuinfo: Path) -> set[str]:
    """What the first processor can do, as Linux names it; nothing elsewhere."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def _transformer(folder: ModelFolder, attention: str | None = None) -> Any:
    """The folder's transformer in PyTorch, with this attention or its best.

    Raises IndexUnavailable when it cannot be loaded.
    """
    from transformers import AutoModel

    from aai_gateway.quotes.quiet_libraries import without_progress_bars

    with without_progress_bars():
        try:
            model = AutoModel.from_pretrained(
                str(folder.transformer), local_files_only=True, attn_implementation=attention
            )
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise IndexUnavailable(f"The embedding model {folder.path} cannot be loaded: {reason}") from error
    return model.eval()


def _converted(folder: ModelFolder, cache: Path, on_notice: Callable[[str], None]) -> Path:
    """The model as an ONNX file in a folder of the cache, converted when it is not there yet.

    One process converts at a time. The folder takes its name when all is in it; what a killed process has
    left is cleared away by the next.
    """
    home = cache / f"{folder.path.name}-{folder.fingerprint}"
    if _is_whole(home):
        return home / MODEL_FILE
    from filelock import FileLock

    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = home.with_name(f".{home.name}")
    with FileLock(cache / LOCK_FILE):
        # Another process may have done it in the meantime.
        if not _is_whole(home):
            on_notice("Converting the embedding model for its first use here: some ten seconds.")
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                unfinished.mkdir()
                _export(folder, unfinished / MODEL_FILE)
                shutil.rmtree(home, ignore_errors=True)
                unfinished.rename(home)
            except RuntimeError as error:
                # What PyTorch raises for a transformer that ONNX cannot express.
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise IndexUnavailable(
                    f"The embedding model {folder.path} cannot be converted ({reason}): use "
                    "AAI_GATEWAY_EMBEDDING_BACKEND=torch."
                ) from error
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return home / MODEL_FILE


def _is_whole(home: Path) -> bool:
    return all((home / name).exists() for name in (MODEL_FILE, WEIGHTS_FILE))


def _export(folder: ModelFolder, file: Path) -> None:
    """Write the model's graph to `file`, and its weights beside it."""
    import onnx
    import torch

    class Hidden(torch.nn.Module):
        """The transformer with only what encoding uses."""

        def __init__(self, model: Callable[..., Any]) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, mask: Any) -> Any:
            return self.model(input_ids=ids, attention_mask=mask).last_hidden_state

    example = torch.ones(2, 7, dtype=torch.long)
    axes = {0: "texts", 1: "tokens"}
    whole = file.parent / "whole"
    whole.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            # The attention that ONNX can express.
            Hidden(_transformer(folder, attention="eager")),
            (example, example),
            str(whole / MODEL_FILE),
            input_names=list(_INPUTS),
            output_names=["hidden"],
            dynamic_axes=dict.fromkeys((*_INPUTS, "hidden"), axes),
            opset_version=_OPSET,
            dynamo=False,
        )
    onnx.save_model(
        onnx.load(str(whole / MODEL_FILE)), str(file), save_as_external_data=True, location=WEIGHTS_FILE
    )
    shutil.rmtree(whole)
