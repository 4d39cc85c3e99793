"""Texts in batches: padding, order, budget, and what a folder must hold; with a graph that is a function."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.interest import text
from recsys.interest.text import MANIFEST, TextTower, can_encode, read_manifest


class _Encoding(NamedTuple):
    ids: list[int]


class _Tokenizer:
    """A token a letter."""

    def encode_batch_fast(self, texts: list[str]) -> list[_Encoding]:
        return [_Encoding([ord(letter) for letter in t]) for t in texts]


class _Session:
    """The vector of a text is the sum and the number of its real tokens."""

    def __init__(self) -> None:
        self.inputs: list[dict[str, np.ndarray]] = []

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert names == ["raw", "tuned"]
        self.inputs.append(inputs)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        raw = np.stack([(ids * mask).sum(1), mask.sum(1)], 1).astype(np.float32)
        return [raw, raw * 2]


def tower(pad: int = 7) -> tuple[TextTower, _Session]:
    session = _Session()
    return TextTower(session, _Tokenizer(), 2, 16, pad, "key"), session


def test_vectors_stand_in_the_order_of_the_texts() -> None:
    made, _ = tower()
    texts = ["abc", "a", "abcdefgh", "zz"]
    raw, tuned = made.encode([*texts, ""])
    assert raw.tolist() == [*([sum(map(ord, t)), len(t)] for t in texts), [7, 1]], "no token reads as padding"
    assert np.array_equal(tuned, raw * 2)
    assert raw.dtype == tuned.dtype == np.float32


def test_padding_is_masked_and_has_the_models_own_id() -> None:
    made, session = tower(pad=7)
    made.encode(["abc", "a"])
    (inputs,) = session.inputs
    assert inputs["input_ids"].tolist() == [[97, 98, 99], [97, 7, 7]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert inputs["input_ids"].dtype == inputs["attention_mask"].dtype == np.int64


@pytest.mark.parametrize("texts", [[""], ["a"], ["a", ""]])
def test_the_graph_never_sees_fewer_than_two_tokens(texts: list[str]) -> None:
    made, session = tower()
    made.encode(texts)
    assert all(inputs["input_ids"].shape[1] >= 2 for inputs in session.inputs)


def test_no_text_runs_nothing() -> None:
    made, session = tower()
    raw, tuned = made.encode([])
    assert raw.shape == tuned.shape == (0, 2)
    assert session.inputs == []


def test_batches_keep_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "TOKEN_BUDGET", 40)
    made, session = tower()
    rng = np.random.default_rng(0)
    texts = ["x" * int(n) for n in rng.integers(1, 20, 50)]
    raw, _ = made.encode(texts)
    assert raw[:, 1].tolist() == [len(t) for t in texts]
    sizes = [inputs["input_ids"].shape for inputs in session.inputs]
    assert sum(rows for rows, _ in sizes) == 50
    assert max(rows * width for rows, width in sizes) <= 40
    assert len(sizes) > 5


def manifest(folder: Path, **values: Any) -> None:
    (folder / MANIFEST).write_text(json.dumps({"engine": "onnx", "sha256": {}} | values))


def test_whether_new_texts_can_be_encoded(tmp_path: Path) -> None:
    manifest(tmp_path)
    assert can_encode(tmp_path) is True
    manifest(tmp_path, engine="vectors")
    assert can_encode(tmp_path) is False
    assert read_manifest(tmp_path)["engine"] == "vectors"


def test_a_folder_without_a_manifest_is_no_encoder(tmp_path: Path) -> None:
    for ask in (can_encode, read_manifest, TextTower.load):
        with pytest.raises(BundleError) as error:
            ask(tmp_path)
        assert str(error.value) == (
            f"{tmp_path / MANIFEST}: expected a JSON object; found no such file. "
            "Train the encoder (recsys train-encoder), or name or copy the whole of its folder."
        )


@pytest.mark.parametrize("content", ["[]", "{}", '{"engine": 3}', "{"])
def test_a_manifest_without_an_engine_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    for ask in (can_encode, read_manifest, TextTower.load):
        with pytest.raises(BundleError, match=f"{MANIFEST}: expected .*; found .*Train the encoder"):
            ask(tmp_path)


def test_a_vectors_only_encoder_does_not_load(tmp_path: Path) -> None:
    manifest(tmp_path, engine="vectors")
    with pytest.raises(BundleError, match=r"expected an exported text tower .*; found engine vectors"):
        TextTower.load(tmp_path)


@pytest.mark.parametrize(("there", "missing"), [([], "encoder.onnx"), (["encoder.onnx"], "tokenizer.json")])
def test_a_half_copied_folder_names_what_is_missing(there: list[str], missing: str, tmp_path: Path) -> None:
    manifest(tmp_path)
    for name in there:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(BundleError, match=f"{missing}: expected a file; found none. Train .* copy the whole"):
        TextTower.load(tmp_path)


def test_a_manifest_that_lacks_what_encoding_needs(tmp_path: Path) -> None:
    for name in ("encoder.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"")
    manifest(tmp_path, dims=2, max_tokens=8)
    with pytest.raises(BundleError, match=f"{MANIFEST}: expected a whole number under 'pad_id'; found only"):
        TextTower.load(tmp_path)
    manifest(tmp_path, dims=2, max_tokens=8, pad_id=0)
    with pytest.raises(BundleError, match=f"{MANIFEST}: expected a text under 'encoder.onnx'; found only"):
        TextTower.load(tmp_path)
