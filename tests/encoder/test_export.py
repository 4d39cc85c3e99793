"""The graph is compared with torch and with itself; weights of 8 bits keep to bounds of their own."""

import copy
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recsys.core.errors import BundleError
from recsys.encoder import export, export_int8, write
from recsys.encoder.batch import Histories, PairArrays
from recsys.encoder.checkpoint import load
from recsys.encoder.export import TUNED, check_graph, open_graph, run_graph
from recsys.encoder.export_int8 import BOUNDS, NDCG, round_weights, sampled
from recsys.encoder.holdout import Holdout
from recsys.encoder.text_cache import TextCache
from recsys.encoder.tokens import Tokens, load_tokenizer, tokenize
from tests.encoder.tiny import exported, toy

TEXTS = [*toy().texts, "red", "", " ".join(["blue word1"] * 9)]


def tokens() -> Tokens:
    return tokenize(load_tokenizer(exported().folder), TEXTS, 16)


@pytest.fixture(params=["onnx", "onnx_int8"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = Path(shutil.copy(exported().folder / "encoder.onnx", tmp_path))
    if request.param == "onnx_int8":
        round_weights(path)
    return path


def test_a_vector_is_the_same_in_any_batch(graph: Path) -> None:
    session, ids = open_graph(graph), TextCache(tokens(), 0)
    whole = run_graph(session, *ids.padded(np.arange(len(TEXTS))))
    for size in (1, 2, 7, 32):
        parts = [np.arange(len(TEXTS))[start : start + size] for start in range(0, len(TEXTS), size)]
        for output in range(2):
            found = np.concatenate([run_graph(session, *ids.padded(part))[output] for part in parts])
            np.testing.assert_allclose(found, whole[output], atol=1e-6, rtol=0)


def test_a_text_of_one_token_is_padded() -> None:
    session = open_graph(exported().folder / "encoder.onnx")
    alone = run_graph(session, torch.tensor([[7]]), torch.tensor([[1]]))
    padded = run_graph(session, torch.tensor([[7, 0, 0]]), torch.tensor([[1, 0, 0]]))
    np.testing.assert_allclose(alone[TUNED], padded[TUNED], atol=1e-6)


def test_a_graph_whose_vectors_depend_on_the_batch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(exported().folder)
    found = check_graph(module, tokens(), exported().folder / "encoder.onnx")
    assert set(found) == {"cosine", "max_difference", "batch_difference"}
    assert found["batch_difference"] <= 1e-6 and found["cosine"] > 0.99999

    def by_company(session: Any, inputs: torch.Tensor, mask: torch.Tensor) -> list[Any]:
        return [x + (1e-4 if len(inputs) > 1 else 0) for x in run_graph(session, inputs, mask)]

    monkeypatch.setattr(export, "run_graph", by_company)
    with pytest.raises(
        BundleError,
        match=r"same in any batch \(to 1e-05\); found a difference of 0.0001 between a text alone and among",
    ):
        check_graph(module, tokens(), exported().folder / "encoder.onnx")


def test_rounded_weights_are_near_by_their_own_bounds_and_smaller(tmp_path: Path) -> None:
    path, module = Path(shutil.copy(exported().folder / "encoder.onnx", tmp_path)), load(exported().folder)
    before = path.stat().st_size
    round_weights(path)
    assert path.stat().st_size < before
    found = check_graph(module, tokens(), path, BOUNDS)
    assert 0.995 < found["cosine"] < 0.99999999 and found["max_difference"] > 1e-4
    with torch.no_grad():
        module.head.mean += 1
    with pytest.raises(BundleError, match=r"torch's own vectors \(cosine >= 0.995, difference <= 0.05\)"):
        check_graph(module, tokens(), path, BOUNDS)


def test_an_export_of_eight_bits_tells_its_cost(tmp_path: Path) -> None:
    world = toy()
    config = world.config(preset="top", export="onnx_int8")
    manifest = world.train(tmp_path, config, world.trainer(max_epochs=1)).manifest
    check = manifest["export_check"]
    assert manifest["engine"] == "onnx"
    assert check["ndcg_at_10"] == pytest.approx(manifest["metrics"][NDCG], abs=1e-9)
    assert abs(check["ndcg_at_10_int8"] - check["ndcg_at_10"]) < 0.05
    assert (check["ranked_items"], check["ranked_pairs"]) == (40, 80)
    assert b"MatMulNBits" in (tmp_path / "encoder.onnx").read_bytes()
    assert "- ndcg at 10 int8: 0." in (tmp_path / "README.md").read_text()


def test_the_cost_is_that_of_the_graphs_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, module = toy(), load(exported().folder)
    made = tokenize(load_tokenizer(exported().folder), world.texts, 16)
    module.bank = module.text(*TextCache(made, 0).padded(np.arange(40)))[1].detach()
    past = Histories(*(np.zeros((4, 3), kind) for kind in (np.int32, np.int8, np.int8)))
    pairs = PairArrays(*(column[:4] for column in world.pairs))
    module.holdout = Holdout(pairs, past, np.arange(40), 10)
    monkeypatch.setattr(export_int8, "round_weights", lambda path: None)
    same = export_int8.export_int8(module, made, exported().folder / "encoder.onnx")
    assert same["ndcg_at_10"] == same["ndcg_at_10_int8"] > 0
    monkeypatch.setattr(export_int8, "_encode", lambda *args: torch.eye(40, 32))
    other = export_int8.export_int8(module, made, exported().folder / "encoder.onnx")
    assert other["ndcg_at_10_int8"] != other["ndcg_at_10"] == same["ndcg_at_10"]
    module.holdout = None
    assert "ndcg_at_10" not in export_int8.export_int8(module, made, exported().folder / "encoder.onnx")


def test_a_large_catalogue_is_sampled_around_the_last_pairs() -> None:
    world = toy()
    past = Histories(*(np.zeros((800, 3), kind) for kind in (np.int32, np.int8, np.int8)))
    whole = Holdout(world.pairs, past, np.arange(40) * 2 // 2, 800)
    assert sampled(whole) is whole
    part = sampled(whole, most=39)
    assert len(part) == 200 and len(whole) == 800
    assert torch.equal(part.known[part.target], whole.known[whole.target][-200:])
    assert len(set(part.known.tolist())) == len(part.known)
    vectors = torch.nn.functional.normalize(
        torch.randn(40, 32, generator=torch.Generator().manual_seed(0)), dim=1
    )
    last = copy.copy(whole)
    for name in ("target", "bought", "items", "kinds", "gaps"):
        setattr(last, name, getattr(whole, name)[-200:])
    tower = load(exported().folder).user
    assert part.measure(tower, vectors) == last.measure(tower, vectors)  # all 40 items are among 2,000


def test_a_graph_out_of_bounds_leaves_the_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    strict = export.Bounds(least_cosine=2.0)
    monkeypatch.setattr(export, "check_graph", lambda *args: check_graph(*args, strict))
    world = toy()
    with caplog.at_level(logging.WARNING, write.__name__):
        manifest = world.train(tmp_path, world.config(export="onnx"), world.trainer(max_epochs=1)).manifest
    assert manifest["engine"] == "vectors" and not (tmp_path / "encoder.onnx").exists()
    assert "expected torch's own vectors (cosine >= 2.0" in caplog.text
    assert "Vectors only" in (tmp_path / "README.md").read_text()
