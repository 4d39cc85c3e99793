"""The exported tower gives the vectors of training, in any company."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.interest import text
from recsys.interest.text import TextTower, can_encode
from tests.encoder.tiny import exported, toy


@pytest.fixture(scope="module")
def tower() -> TextTower:
    return TextTower.load(exported().folder, threads=1)


def test_shape_order_and_length(tower: TextTower) -> None:
    texts = toy().texts
    raw, tuned = tower.encode(texts)
    assert raw.shape == tuned.shape == (40, 32)
    assert raw.dtype == tuned.dtype == np.float32
    assert np.allclose(np.linalg.norm(tuned, axis=1), 1.0, atol=1e-5)
    assert np.abs(raw.mean(0)).max() < 0.05, "centred on the catalogue"
    backwards = tower.encode(texts[::-1])
    assert np.allclose(backwards[1][::-1], tuned, atol=1e-6)


def test_alone_or_in_a_batch(tower: TextTower, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["", "red", " ".join(["blue word1"] * 20), *toy().texts[:9], "never seen 東京 words"]
    together = tower.encode(texts)
    for i, alone in enumerate(texts):
        for one, many in zip(tower.encode([alone]), together, strict=True):
            assert np.abs(one[0] - many[i]).max() < 1e-6
    monkeypatch.setattr(text, "TOKEN_BUDGET", 20)
    small = tower.encode(texts)
    assert np.abs(small[1] - together[1]).max() < 1e-6


def test_nothing_gives_nothing(tower: TextTower) -> None:
    assert [x.shape for x in tower.encode([])] == [(0, 32), (0, 32)]


def test_training_moved_tuned_and_not_raw(tower: TextTower) -> None:
    raw, tuned = tower.encode(toy().texts)
    parity = (np.arange(40)[:, None] + np.arange(40)) % 2 == 0

    def gap(vectors: np.ndarray) -> float:
        similar = vectors @ vectors.T
        return float(similar[parity].mean() - similar[~parity].mean())

    assert gap(tuned) > 1.4 * gap(raw)


def test_incomplete_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest.json: expected a JSON object; found no such file"):
        TextTower.load(tmp_path)
    folder = tmp_path / "encoder"
    shutil.copytree(exported().folder, folder)
    assert can_encode(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"tokenizer.json: expected a file; found none. .* copy the whole"):
        TextTower.load(folder)
    tokenizer = (exported().folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match=r"tokenizer.json: expected a tokenizer in JSON; found \w+"):
        TextTower.load(folder)
    (folder / "tokenizer.json").write_text(tokenizer)
    (folder / "encoder.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"encoder.onnx: expected an ONNX graph; found "):
        TextTower.load(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"engine": "vectors"}))
    assert not can_encode(folder)
    with pytest.raises(
        BundleError, match=r"expected an exported text tower \(engine onnx or static\); found engine vectors"
    ):
        TextTower.load(folder)
