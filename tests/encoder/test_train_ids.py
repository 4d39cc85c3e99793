"""Training with an id part, from texts to arrays."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recsys.core.errors import ConfigError, MissingExtraError
from recsys.core.hashing import hash_value
from recsys.encoder import export_int8
from recsys.encoder.batch import Histories, select
from recsys.encoder.holdout import Holdout
from recsys.encoder.ids_config import IdsConfig
from recsys.encoder.tokens import Tokens
from recsys.encoder.train import EncoderResult
from recsys.interest.ids import add_ids, id_part, load_ids
from recsys.interest.vectors import load_vectors
from tests.encoder.ids import columns, needs_torchrec, shop_module
from tests.encoder.tiny import toy


def train(folder: Path, kind: str, **options: Any) -> EncoderResult:
    world = toy()
    config = world.config(ids=IdsConfig(kind=kind, buckets=128, lr=0.02, length=3.0))
    return world.train(folder, config, world.trainer(max_epochs=3), ids=columns(), **options)


@needs_torchrec
def test_torchrec_and_plain_give_the_same_files(tmp_path: Path) -> None:
    results = [train(tmp_path / kind, kind) for kind in ("plain", "torchrec")]
    one, other = ([row["train/loss"] for row in result.history[1:]] for result in results)
    np.testing.assert_allclose(one, other, rtol=1e-6)
    for name in ("ids.npz", "user_tower.npz"):
        with np.load(tmp_path / "plain" / name) as plain, np.load(tmp_path / "torchrec" / name) as found:
            assert plain.files == found.files
            for key in plain.files:
                np.testing.assert_allclose(found[key], plain[key], atol=1e-5, err_msg=key)


def test_ids_learn_what_texts_do_not_say(tmp_path: Path) -> None:
    """The category tells which items a user takes; the same text stands on every item."""
    world = toy()
    same = world._replace(texts=["red"] * len(world.texts))
    parity = {"kind": [f"parity{i % 2}" for i in range(len(world.texts))]}
    found = {}
    for kind in ("none", "plain"):
        config = world.config(ids=IdsConfig(kind=kind, buckets=128, lr=0.05, length=3.0, columns=("kind",)))
        options = {"ids": parity} if kind == "plain" else {}
        result = same.train(tmp_path / kind, config, world.trainer(max_epochs=4), **options)
        found[kind] = result.manifest["metrics"]["holdout/click_recall_at_10"]
    assert found["plain"] > 0.45, "ten of twenty items"
    assert found["none"] < 0.35, "ten of forty"


def test_what_is_written_is_the_part_of_the_texts_and_that_of_the_ids(tmp_path: Path) -> None:
    manifest = train(tmp_path, "plain", known_items=np.arange(30)).manifest
    assert manifest["ids"] == {
        "columns": ["item_id", "category", "brand"],
        "buckets": {"item_id": 128, "category": 128, "brand": 128},
        "hash": "blake2b-64",
    }
    assert "ids.npz" in manifest["sha256"]
    ids, vectors = load_ids(tmp_path), load_vectors(tmp_path)
    assert ids is not None
    assert {hash_value(f"i{i}") for i in range(30)} == set(ids.keys[0].tolist())
    np.testing.assert_allclose(np.linalg.norm(vectors.tuned, axis=1), 1, atol=1e-5)
    part = id_part(ids, columns())
    assert np.abs(part[:30]).max() > 1e-2
    new = id_part(ids, columns() | {"item_id": [f"i{i}" for i in range(40)]})[30:]
    without = id_part(ids, {name: column for name, column in columns().items() if name != "item_id"})[30:]
    np.testing.assert_array_equal(new, without)  # ids beyond the known have no part of their own
    assert add_ids(vectors.tuned, part).shape == vectors.tuned.shape


def test_the_holdout_and_stale_histories_see_the_ids() -> None:
    module, _ = shop_module("plain")
    assert module.ids is not None
    seen: list[torch.Tensor] = []

    class Capture:
        def __len__(self) -> int:
            return 1

        def measure(self, tower: Any, vectors: torch.Tensor) -> dict[str, float]:
            seen.append(vectors)
            return {module.monitor: 0.0}

    module.holdout = Capture()  # type: ignore[assignment]
    module._close_epoch(0, "pairs", 0.0)
    whole = module.ids(module.head(module.bank)).detach()
    assert (whole - module.head(module.bank)).abs().max() > 0.1
    torch.testing.assert_close(seen[0], whole)
    torch.testing.assert_close(module._stale, whole)


def test_without_ids_nothing_of_them_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchrec", None)  # importing it would raise
    world = toy()
    manifest = world.train(tmp_path, world.config(), world.trainer(max_epochs=1)).manifest
    assert manifest["ids"] is None
    assert not (tmp_path / "ids.npz").exists()
    assert load_ids(tmp_path) is None
    train(tmp_path / "plain", "plain")
    with pytest.raises(MissingExtraError, match="the library torchrec"):
        train(tmp_path / "torchrec", "torchrec")


def test_values_must_be_given(tmp_path: Path) -> None:
    world = toy()
    config = world.config(ids=IdsConfig(kind="plain"))
    with pytest.raises(ConfigError, match=r"encoder\.ids: expected the values of the columns"):
        world.train(tmp_path, config, world.trainer(max_epochs=1))


def test_the_figures_of_a_table_have_the_id_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one text on every item the table says nothing: what the hold-out finds it finds by the ids."""
    world = toy()
    same = world._replace(texts=["red"] * len(world.texts))
    parity = {"kind": [f"parity{i % 2}" for i in range(len(world.texts))]}
    config = world.config(
        preset="static", ids=IdsConfig(kind="plain", buckets=128, lr=0.05, columns=("kind",))
    )
    manifest = same.train(tmp_path, config, world.trainer(max_epochs=4), ids=parity).manifest
    name = "holdout/click_recall_at_10"
    assert manifest["metrics"][name] > 0.45, "ten of twenty items"
    assert manifest["metrics"][name] == pytest.approx(
        manifest["static"]["fitted_to"]["metrics"][name], abs=0.05
    )


def test_the_cost_of_8_bits_is_measured_with_the_id_part(monkeypatch: pytest.MonkeyPatch) -> None:
    module, data = shop_module("plain")
    past = Histories(*(np.zeros((4, 3), kind) for kind in (np.int32, np.int8, np.int8)))
    pairs = select(data.pairs, np.arange(4))
    module.holdout = Holdout(pairs, past, data.known, 4)
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(Holdout, "measure", lambda self, tower, v: seen.append(v) or {export_int8.NDCG: 0.0})
    monkeypatch.setattr(export_int8, "round_weights", lambda path: None)
    monkeypatch.setattr(export_int8, "check_graph", lambda *args: {})
    text = module.head(module.bank).detach()
    monkeypatch.setattr(
        export_int8, "_encode", lambda module, tokens, path, items: text[torch.from_numpy(items)]
    )
    export_int8.export_int8(module, Tokens(np.arange(41), np.zeros(40, np.int32)), Path("none"))
    assert module.ids is not None and len(seen) == 2
    for vectors in seen:
        torch.testing.assert_close(vectors, module.ids(text).detach())
