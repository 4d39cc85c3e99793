"""Training end to end on the toy world: it learns, repeats, stops, and says what is wrong."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from recsys.core.errors import BundleError, ConfigError, DataError
from recsys.encoder import export, write
from recsys.encoder.batch import PairArrays
from recsys.encoder.train import train_encoder
from tests.encoder.tiny import exported, shown_lists, toy


def _parity_gap(tuned: np.ndarray) -> float:
    """How much nearer items of one parity are to each other than to the others."""
    similar = tuned @ tuned.T
    same = (np.arange(40)[:, None] + np.arange(40)) % 2 == 0
    return float(similar[same & ~np.eye(40, dtype=bool)].mean() - similar[~same].mean())


@pytest.mark.parametrize("preset", ["adapter", "top", "full", "lora"])
def test_every_preset_learns_the_toy_world(preset: str, tmp_path: Path) -> None:
    world = toy()
    history, manifest = world.train(tmp_path, world.config(preset=preset), world.trainer(max_epochs=3))
    raw, tuned = np.load(tmp_path / "raw.npy"), np.load(tmp_path / "tuned.npy")
    assert _parity_gap(tuned) > 1.4 * _parity_gap(raw)
    assert history[0]["kind"] == "start"
    # a mean of many texts nearly tells the parity before training (recall .49 of the possible .5), so
    # the hold-out can only show that nothing was lost; the geometry above shows what was learned
    assert max(row["holdout/click_recall_at_10"] for row in history[1:]) > 0.4
    assert history[-1]["train/loss"] < history[1]["train/loss"]
    assert manifest["metrics"]["holdout/click_ndcg_at_10"] == max(
        r["holdout/click_ndcg_at_10"] for r in history
    )
    assert np.isfinite([row["train/loss"] for row in history[1:]]).all()


@pytest.mark.parametrize(
    ("preset", "changes"),
    [(p, {"loss": loss}) for p in ("adapter", "top") for loss in ("full_softmax", "bce")]
    + [("adapter", {"log_q": 0.0})],
    ids=str,
)
def test_every_loss_learns_the_toy_world(preset: str, changes: dict[str, Any], tmp_path: Path) -> None:
    world = toy()
    config = world.config(preset=preset, mask_history=True, **changes)
    history, _ = world.train(tmp_path, config, world.trainer(max_epochs=3, patience=0))
    raw, tuned = np.load(tmp_path / "raw.npy"), np.load(tmp_path / "tuned.npy")
    assert history[-1]["train/loss"] < 0.95 * history[1]["train/loss"]
    if changes.get("loss") != "bce":  # one negative a pair teaches the users here, not yet the items
        assert _parity_gap(tuned) > 1.1 * _parity_gap(raw)


@pytest.mark.parametrize("mode", ["after", "alone"])
def test_lists_teach_after_the_pairs_or_alone(mode: str, tmp_path: Path) -> None:
    world = toy()
    config = world.config(lists=mode, list_epochs=6, list_batch=16)
    trainer = world.trainer(max_epochs=1, patience=0)
    history, manifest = world.train(tmp_path, config, trainer, lists=shown_lists(world))
    kinds = [row["kind"] for row in history]
    assert kinds == ["start", *(["pairs"] if mode == "after" else []), *["lists"] * 6]
    before, best = history[0]["holdout/list_auc"], manifest["metrics"]["holdout/list_auc"]
    assert best > 0.9 and before < 0.1  # a mean of the history prefers more of the same
    chosen = max(history, key=lambda row: row["holdout/list_auc"])
    assert manifest["best_epoch"] == chosen["epoch"] > 0
    assert manifest["lists"] == {"learned": 270, "holdout": 30}


def test_lists_that_are_wanted_and_not_there_are_named(tmp_path: Path) -> None:
    world = toy()
    with pytest.raises(
        DataError, match=r"encoder\.lists: expected logged lists in the window fit.*found none"
    ):
        world.train(tmp_path, world.config(lists="after"), world.trainer())


@pytest.mark.parametrize("preset", ["adapter", "top"])
def test_the_same_seed_gives_the_same_run(preset: str, tmp_path: Path) -> None:
    world = toy()
    runs = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.manual_seed(hash(name) % 100)  # what ran before must not matter
        world.train(tmp_path / name, world.config(preset=preset), world.trainer(max_epochs=1, seed=seed))
        runs.append((tmp_path / name / "weights.safetensors").read_bytes())
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_without_training_tuned_is_raw(tmp_path: Path) -> None:
    world = toy()
    world.train(
        tmp_path,
        world.config(preset="top", warmup_epochs=0, polish_epochs=0),
        world.trainer(lr=0.0, text_lr=0.0),
    )
    assert np.allclose(np.load(tmp_path / "raw.npy"), np.load(tmp_path / "tuned.npy"), atol=1e-5)


def test_stale_and_fresh_histories_both_learn(tmp_path: Path) -> None:
    world = toy()
    for mode in ("fresh", "stale"):
        config = world.config(preset="top", history_vectors=mode, mask_history=True)
        history = world.train(tmp_path / mode, config, world.trainer(max_epochs=2)).history
        assert history[-1]["train/loss"] < history[1]["train/loss"]


def test_the_mean_is_that_of_the_known_items_alone(tmp_path: Path) -> None:
    world = toy()
    early = PairArrays(*(column[world.pairs.item < 20] for column in world.pairs))
    train_encoder(
        world.texts,
        early,
        world.log,
        world.config(),
        world.trainer(max_epochs=1),
        tmp_path,
        clock=False,
        known_items=np.arange(20),
    )
    changed = [t if i < 20 else "red red red" for i, t in enumerate(world.texts)]
    train_encoder(
        changed,
        early,
        world.log,
        world.config(),
        world.trainer(max_epochs=1),
        tmp_path / "changed",
        clock=False,
        known_items=np.arange(20),
    )
    first = load_file(tmp_path / "weights.safetensors")["head.mean"]
    assert torch.equal(first, load_file(tmp_path / "changed" / "weights.safetensors")["head.mean"])


def test_training_goes_on_from_a_folder(tmp_path: Path) -> None:
    world, trained = toy(), exported()
    config = world.config(preset="top")
    history = world.train(tmp_path, config, world.trainer(max_epochs=1), start=trained.folder).history
    before = trained.result.manifest["metrics"]["holdout/click_ndcg_at_10"]
    assert history[0]["holdout/click_ndcg_at_10"] == pytest.approx(before, abs=0.02)
    with pytest.raises(BundleError, match="expected preset adapter, as it is asked for here; found top"):
        world.train(tmp_path, world.config(preset="adapter"), world.trainer(), start=trained.folder)
    other = shutil.copytree(trained.folder, tmp_path / "other")
    told = json.loads((other / "manifest.json").read_text()) | {"model_sha256": "that of another"}
    (other / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(BundleError, match="expected model_sha256 .*; found that of another"):
        world.train(tmp_path, config, world.trainer(), start=other)
    with pytest.raises(BundleError, match=r"expected a file weights.safetensors"):
        world.train(tmp_path, config, world.trainer(), start=tmp_path / "nothing")


def test_the_best_epoch_is_kept_and_patience_ends(tmp_path: Path) -> None:
    world = toy()
    history, manifest = world.train(tmp_path, world.config(), world.trainer(max_epochs=9, lr=3.0, patience=1))
    assert len(history) < 10
    assert manifest["best_epoch"] < history[-1]["epoch"]


def test_a_bad_warm_up_does_not_end_training_before_the_texts(tmp_path: Path) -> None:
    world = toy()
    config = world.config(preset="top", warmup_epochs=3)
    history = world.train(tmp_path, config, world.trainer(max_epochs=1, lr=3.0, patience=1)).history
    scores = [row["holdout/click_ndcg_at_10"] for row in history]
    assert scores[0] > max(scores[1:4]), "the warm-up did go wrong"
    assert "texts" in [row["kind"] for row in history]


def test_a_loss_that_is_no_number_stops_with_the_way_out(tmp_path: Path) -> None:
    world = toy()
    bad = world.pairs._replace(weight=np.full(800, np.inf, np.float32))
    with pytest.raises(DataError) as error:
        train_encoder(
            world.texts,
            bad,
            world.log,
            world.config(),
            world.trainer(),
            tmp_path,
            clock=True,
            known_items=world.items,
        )
    assert "the training loss at epoch 0, step 0: expected a finite number; found nan" in str(error.value)
    assert "Lower trainer.lr" in str(error.value)


def test_nothing_to_learn_is_said(tmp_path: Path) -> None:
    world = toy()
    nothing = PairArrays(*(column[:0] for column in world.pairs))
    for texts, pairs, known, text in (
        (world.texts, nothing, world.items, "training pairs: expected at least one interaction"),
        ([" "] * 40, world.pairs, world.items, "the items' texts: expected titles or descriptions"),
        (world.texts, world.pairs, world.items[:0], "known items: expected at least one"),
    ):
        with pytest.raises(DataError) as error:
            train_encoder(
                texts,
                pairs,
                world.log,
                world.config(),
                world.trainer(),
                tmp_path,
                clock=True,
                known_items=known,
            )
        assert text in str(error.value)


def test_an_encoder_that_does_not_export_leaves_its_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("no such operator\nand a long story")

    monkeypatch.setattr(export, "export_onnx", refuse)
    world = toy()
    with caplog.at_level(logging.WARNING, write.__name__):
        manifest = world.train(tmp_path, world.config(export="onnx"), world.trainer(max_epochs=1)).manifest
    assert manifest["engine"] == "vectors"
    assert "does not export (no such operator): the bundle holds vectors only" in caplog.text
    assert np.load(tmp_path / "tuned.npy").shape == (40, 32)
    assert not (tmp_path / "encoder.onnx").exists()


def test_what_exports_must_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object) -> None:
        raise ModuleNotFoundError("No module named 'onnxscript'", name="onnxscript")

    monkeypatch.setattr(export, "export_onnx", missing)
    world = toy()
    with pytest.raises(ModuleNotFoundError, match="onnxscript"):
        world.train(tmp_path, world.config(export="onnx"), world.trainer(max_epochs=1))


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_a_gpu_that_is_not_there_is_said(tmp_path: Path) -> None:
    world = toy()
    with pytest.raises(ConfigError, match=r"trainer.accelerator: expected auto or cpu.*found gpu"):
        world.train(tmp_path, world.config(), world.trainer(accelerator="gpu"))


def test_the_export_is_torch_and_the_manifest_tells_all() -> None:
    folder, (_, manifest) = exported()
    assert manifest["engine"] == "onnx"
    assert manifest["export_check"]["cosine"] > 0.99999
    assert manifest["export_check"]["max_difference"] < 1e-5
    assert set(manifest["sha256"]) == {
        "encoder.onnx",
        "mean.npy",
        "raw.npy",
        "tuned.npy",
        "tokenizer.json",
        "user_tower.npz",
        "weights.safetensors",
        "README.md",
        "pretrained/config.json",
        "pretrained/model.safetensors",
        "pretrained/tokenizer.json",
    }
    assert manifest["config"]["preset"] == "top"
    assert manifest["pairs"] == {"learned": 720, "holdout": 80}


def test_a_graph_of_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(torch.nn.Module):
        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            vectors = torch.nn.functional.normalize(torch.ones(len(ids), 32), dim=1)
            return vectors, vectors

    ids = torch.tensor([[2, 7, 8, 3]])
    with pytest.raises(BundleError, match=r"the exported graph encoder.onnx: expected torch's own vectors"):
        export._compare(Other(), exported().folder / "encoder.onnx", ids, torch.ones_like(ids))


def test_a_catalogue_in_another_language_is_refused_or_recorded(tmp_path: Path) -> None:
    world = toy()
    chinese = world._replace(texts=["红色的鞋 red", *world.texts[1:20], *["蓝色的船"] * 20])
    with pytest.raises(DataError, match=r"the items' texts: expected a language.* found 4\d% unknown tokens"):
        chinese.train(tmp_path, world.config(), world.trainer(max_epochs=1))
    allowed = world.config(allow_unknown_tokens=True)
    manifest = chinese.train(tmp_path, allowed, world.trainer(max_epochs=1)).manifest
    assert 0.4 < manifest["unknown_tokens"] < 0.5


def test_a_second_training_works_on_what_changed_alone(tmp_path: Path) -> None:
    world = toy()
    config, cache = world.config(preset="top"), tmp_path / "cache"

    def work(name: str, texts: list[str], seed: int, folder: Path | None) -> dict[str, int]:
        trainer = world.trainer(max_epochs=1, seed=seed)
        changed = world._replace(texts=texts)
        return dict(changed.train(tmp_path / name, config, trainer, cache_folder=folder).manifest["work"])

    told = {"texts": 40, "distinct": 40}
    assert work("plain", world.texts, 0, None) == {
        **told, "tokenised": 40, "encoded": 40, "found": 0, "lower_reused": 0
    }  # fmt: skip
    work("first", world.texts, 0, cache)
    for name in ("weights.safetensors", "raw.npy", "tuned.npy", "user_tower.npz"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "first" / name).read_bytes(), name
    nothing = {**told, "tokenised": 0, "encoded": 0, "found": 40, "lower_reused": 40}
    assert work("seed", world.texts, 1, cache) == nothing
    changed = {**told, "tokenised": 40, "encoded": 1, "found": 39, "lower_reused": 39}
    assert work("changed", ["red word1 word1", *world.texts[1:]], 0, cache) == changed
    assert work("again", world.texts, 0, cache) == nothing
    assert (tmp_path / "again" / "weights.safetensors").read_bytes() == (
        tmp_path / "first" / "weights.safetensors"
    ).read_bytes()
