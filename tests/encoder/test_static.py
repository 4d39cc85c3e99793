"""A table of token vectors: the ridge solution, its start, and a training that ends in one."""

from pathlib import Path

import numpy as np
import pytest

from recsys.encoder import static
from recsys.encoder.static import fit_table, means, ridge_step
from recsys.encoder.tokens import Tokens, take
from recsys.interest.text import TextTower, can_encode
from recsys.interest.vectors import embed, index_vectors
from tests.encoder.tiny import toy


def random_tokens(rng: np.random.Generator, n: int, vocabulary: int) -> Tokens:
    lengths = rng.integers(1, 9, n)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return Tokens(offsets, rng.integers(0, vocabulary, offsets[-1]).astype(np.int32))


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def shares(tokens: Tokens, vocabulary: int) -> np.ndarray:
    """The matrix of the regression: the share of each token in each text."""
    x = np.zeros((len(tokens.offsets) - 1, vocabulary))
    for i in range(len(x)):
        row = tokens.ids[tokens.offsets[i] : tokens.offsets[i + 1]]
        np.add.at(x[i], row, 1 / len(row))
    return x


def test_conjugate_gradients_give_the_ridge_solution() -> None:
    rng = np.random.default_rng(0)
    tokens, start = random_tokens(rng, 40, 12), rng.normal(size=(12, 3)).astype(np.float32)
    wanted = rng.normal(size=(40, 3)).astype(np.float32)
    x = shares(tokens, 12)
    assert np.allclose(means(tokens, start), x @ start, atol=1e-6)
    exact = np.linalg.solve(x.T @ x + 0.5 * np.eye(12), x.T @ (wanted - x @ start))
    found = ridge_step(tokens, wanted, start, np.zeros_like(start), 0.5, 12)
    assert np.allclose(found, exact, atol=1e-4)
    again = ridge_step(tokens, wanted, start, found, 0.5, 3)
    assert np.allclose(again, exact, atol=1e-4), "from the solution nothing moves"


def test_a_table_that_exists_is_found() -> None:
    rng = np.random.default_rng(1)
    tokens, truth = random_tokens(rng, 600, 30), rng.normal(size=(30, 2, 8)).astype(np.float32)
    wanted = unit(means(tokens, truth.reshape(30, 16)).reshape(600, 2, 8))
    fit = fit_table(tokens, wanted, unit(rng.normal(size=truth.shape)), seed=0)
    assert fit.cosine.min() > 0.95, "on texts that did not teach"
    assert np.einsum("npd,npd->np", static.vectors(fit.table, tokens), wanted).mean() > 0.97


def test_a_token_that_no_text_holds_keeps_its_own_vector() -> None:
    rng = np.random.default_rng(2)
    tokens, singles = random_tokens(rng, 50, 20), unit(rng.normal(size=(25, 1, 8)))
    fit = fit_table(tokens, unit(rng.normal(size=(50, 1, 8))), singles, seed=0)
    found, own = np.diff(fit.table[20:, 0], axis=0), np.diff(singles[20:, 0], axis=0)  # all are centred alike
    scale = (found * own).sum() / (own * own).sum()
    assert np.allclose(found, scale * own, atol=1e-6)


def test_some_texts_keep_their_tokens() -> None:
    tokens = Tokens(np.array([0, 2, 2, 5]), np.array([7, 8, 1, 2, 3], np.int32))
    some = take(tokens, np.array([2, 0, 1]))
    assert some.offsets.tolist() == [0, 3, 5, 5] and some.ids.tolist() == [1, 2, 3, 7, 8]


@pytest.mark.parametrize("most", [10_000, 25], ids=["all texts teach", "a sample teaches"])
def test_the_preset_ends_in_a_table(most: int, tmp_path: Path) -> None:
    world = toy()
    config = world.config(preset="static", distil_texts=most, export="onnx")
    manifest = world.train(tmp_path, config, world.trainer(max_epochs=2)).manifest
    assert manifest["engine"] == "static" and can_encode(tmp_path)
    assert not (tmp_path / "encoder.onnx").exists()
    assert manifest["static"]["texts"] == min(most, 40)
    assert manifest["static"]["fitted_to"]["metrics"].keys() == manifest["metrics"].keys()
    assert manifest["texts_per_s"] > 0
    raw, tuned = np.load(tmp_path / "raw.npy"), np.load(tmp_path / "tuned.npy")
    tower = TextTower.load(tmp_path)
    for stored, new in zip((raw, tuned), tower.encode(world.texts), strict=True):
        assert np.array_equal(stored, new), "serving sums as training did, to the bit"
    index_vectors(world.texts, tmp_path)
    both = embed([*world.texts[:3], "red word1"], tower, None, tmp_path / "known")
    assert np.array_equal(both.tuned[:3], tuned[:3]) and np.isfinite(both.raw).all()
    again = world.train(tmp_path / "again", config, world.trainer(max_epochs=2))
    assert (tmp_path / "again" / "static.npy").read_bytes() == (tmp_path / "static.npy").read_bytes()
    assert again.manifest["metrics"] == manifest["metrics"]


def test_a_table_keeps_most_of_what_it_is_fitted_to(tmp_path: Path) -> None:
    world = toy()
    manifest = world.train(tmp_path, world.config(preset="static"), world.trainer(max_epochs=3)).manifest
    name = "holdout/click_ndcg_at_10"
    assert manifest["metrics"][name] > 0.85 * manifest["static"]["fitted_to"]["metrics"][name]
