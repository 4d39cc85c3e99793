"""The command export-vectors: vectors in less room, and their cost by the project's own measure."""

import json

import numpy as np
import polars as pl
import pytest

from recsys.core import columns as c
from recsys.core.errors import DataError
from recsys.interest.compact import VectorsConfig, expand, load_compact
from recsys.interest.user import load_user_tower
from recsys.interest.vectors import load_vectors
from recsys.pipelines.export_vectors import _valid, main, ndcg, words, work


def test_the_whole_vectors_rank_as_the_model_encoder_does(toy, data):
    """All requests of the window have the metric that the evaluation printed for the interest score alone."""
    rows = _valid(data)
    tower = load_user_tower(toy.stage("train-encoder"), bool(data.meta["clock"]))
    found = ndcg(tower, load_vectors(toy.stage("embed")).tuned, data, rows)
    assert found.shape == rows.shape and ((found >= 0) & (found <= 1)).all() and found.mean() > 0
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    assert set(window[rows]) == {"valid"}
    labelled = set(data.truth.filter(pl.col(c.LABEL) > 0)[c.REQUEST])
    assert rows.tolist() == [r for r in range(len(window)) if window[r] == "valid" and r in labelled]


def test_float32_costs_nothing_and_fewer_numbers_are_measured(toy, data, tmp_path):
    inputs = {name: toy.stage(name) for name in ("prepare", "train-encoder", "embed")}
    whole = load_vectors(inputs["embed"]).tuned
    same = work(inputs, VectorsConfig(dtype="float32", requests=30), tmp_path / "same").notes["cost"]
    assert same["ndcg_at_10"] == same["ndcg_at_10_before"]
    assert same["bytes"] == same["bytes_before"] == whole.nbytes and same["requests"] == 30
    part = work(inputs, VectorsConfig(dims=2, requests=30), tmp_path / "part").notes["cost"]
    stored = load_compact(tmp_path / "part" / "vectors")
    assert stored.values.shape == (len(whole), 2) and stored.values.dtype == np.int8
    assert part["bytes"] == len(whole) * (2 + 4)
    assert part["ndcg_at_10_before"] == same["ndcg_at_10"] != part["ndcg_at_10"]
    tower = load_user_tower(inputs["train-encoder"], bool(data.meta["clock"]))
    expected = ndcg(tower, expand(stored, whole.shape[1]), data, _valid(data)[-30:]).mean()
    assert part["ndcg_at_10"] == expected
    ids = pl.read_parquet(tmp_path / "part" / "vectors" / "items.parquet")
    assert ids[c.ITEM_ID].to_list() == data.items[c.ITEM_ID].to_list()


def test_the_command_prints_the_cost_and_finds_the_stages_of_the_run(toy, tmp_path, capsys):
    assert main([*toy.overrides, f"paths.run_dir={tmp_path}/run", "vectors.dims=8"]) == 0
    said = capsys.readouterr().out.splitlines()
    cost = json.loads((tmp_path / "run" / "vectors" / "cost.json").read_text())
    assert said[-3:] == [*words(cost), f"done: {tmp_path}/run/vectors"]
    assert "unchanged, skipped" in said[0]
    with pytest.raises(DataError, match="expected the output of the stage before it"):
        main([*toy.overrides, f"paths.run_dir={tmp_path}/other", "seed=77"])


def test_the_words_of_the_cost():
    cost = {
        "dims": 128, "dims_before": 384, "dtype": "int8", "bytes": 2**20, "bytes_before": 12 * 2**20,
        "requests": 2000, "ndcg_at_10": 0.1, "ndcg_at_10_before": 0.12,
    }  # fmt: skip
    assert words(cost) == [
        "vectors: 384 -> 128 numbers of int8, 12.0 -> 1.0 MiB",
        "NDCG@10 on 2,000 requests of the window valid: 0.1200 -> 0.1000 (-0.0200)",
    ]
    assert "no request of the window valid" in words(cost | {"requests": 0})[1]
