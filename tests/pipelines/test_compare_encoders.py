"""The command compare-encoders: each preset through its stages, and one table of what they give."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

from recsys.core.columns import CI_HIGH, CI_LOW
from recsys.core.errors import ConfigError
from recsys.encoder import checkpoint
from recsys.evaluation.encoders import COLUMNS
from recsys.pipelines.compare_encoders import (
    _sample,
    by_preset,
    cost,
    main,
    presets_of,
    ranked_as,
    texts_per_s,
)
from recsys.pipelines.encoder_slices import SLICES
from recsys.pipelines.request_scores import Scores, request_scores
from recsys.pipelines.settings import load


def overrides(toy):
    """Those of the toy run, which has trained the preset adapter, without the preset's name."""
    return [word for word in toy.overrides if not word.startswith(("encoder=", "+encoder.export"))]


def test_the_command_trains_what_is_missing_and_tells_of_each_encoder(toy, tmp_path, capsys):
    asked = [*overrides(toy), "compare.presets=[adapter,static]", "compare.texts=20"]
    assert main([*asked, f"paths.run_dir={tmp_path}/run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "train-encoder-adapter: unchanged, skipped" in said, "the toy run had trained it"
    assert said[-1] == f"done: {tmp_path}/run holds encoders.parquet and encoders.html"
    table = pl.read_parquet(tmp_path / "run" / "encoders.parquet")
    assert dict(table.schema) == COLUMNS
    first, other = table.to_dicts()
    assert (first["preset"], other["preset"]) == (first["chosen"], other["chosen"]) == ("adapter", "static")
    assert (first["diff"], first["diff_low"], first["diff_high"]) == (None, None, None)
    metrics = toy.table("evaluate", "metrics").filter(
        (pl.col("model") == "encoder") & (pl.col("window") == "valid") & (pl.col("slice") == "all")
        & (pl.col("metric") == first["metric"]) & (pl.col("k") == 10)
    )  # fmt: skip
    assert first["value"] == pytest.approx(metrics["value"][0]), "what the evaluation printed"
    assert other["diff"] == pytest.approx(other["value"] - first["value"])
    for row in (first, other):
        assert row[CI_LOW] <= row["value"] <= row[CI_HIGH] and row["n"] > 0
        assert row["texts_per_s"] > 0 and row["minutes"] > 0
    folder = tmp_path / "run" / "stages" / "train-encoder-static"
    size = sum((folder / name).stat().st_size for name in ("static.npy", "tokenizer.json"))
    assert other["size_mib"] == size / 2**20
    seconds = json.loads((folder / "manifest.json").read_text())["seconds"]["all"]
    assert other["minutes"] == seconds / 60
    page = (tmp_path / "run" / "encoders.html").read_text()
    assert "The encoders side by side" in page and "minus adapter" in page and "<script" not in page
    assert main([*asked, f"paths.run_dir={tmp_path}/run"]) == 0
    assert "compare-encoders: unchanged, skipped" in capsys.readouterr().out.splitlines()


def test_the_minutes_of_a_chain_are_those_of_all_its_slices(toy, tmp_path):
    folder = shutil.copytree(toy.stage("train-encoder"), tmp_path / "encoder")
    alone = cost(folder)["minutes"]
    for k, train in (("1", 60.0), ("2", 90.0)):
        (folder / SLICES / k).mkdir(parents=True)
        seconds = {"load": 5.0, "encode": 600.0, "train": train, "write": 15.0, "all": 620.0 + train}
        (folder / SLICES / k / "manifest.json").write_text(json.dumps({"seconds": seconds}))
    assert cost(folder)["minutes"] == pytest.approx(alone + 3.0), "the texts were encoded once"
    assert SLICES == checkpoint.SLICES


def test_a_setting_goes_to_the_presets_that_read_it(capsys):
    words = ["encoder.lora_rank=4", "encoder.adapt.mlm_epochs=1", "encoder.interpolate=true"]
    asked = by_preset(("adapter", "lora", "static"), words)
    assert capsys.readouterr().out.splitlines() == [
        "encoder=adapter does not read lora_rank: left out for it",
        "encoder=lora does not read interpolate: left out for it",
        "encoder=static does not read lora_rank: left out for it",
    ]
    found = {preset: load(one)[0].encoder for preset, one in asked.items()}
    assert {preset: one.preset for preset, one in found.items()} == {name: name for name in found}
    assert [one.lora_rank for one in found.values()] == [8, 4, 8]
    assert [one.interpolate for one in found.values()] == [True, False, True]
    assert [one.adapt.mlm_epochs for one in found.values()] == [1, 1, 1]


def test_a_setting_that_no_preset_reads_is_refused(capsys):
    asked = by_preset(("adapter", "static"), ["encoder.lora_rank=4"])
    assert capsys.readouterr().out == ""
    for preset, words in asked.items():
        with pytest.raises(ConfigError, match=rf"encoder\.lora_rank: .* preset {preset} does not read it"):
            load(words)


def test_the_difference_is_paired_over_users():
    nan = float("nan")
    users = np.array([0, 0, 1, 2])
    first = Scores(users, {("encoder", "ndcg"): np.array([0.2, 0.4, 0.4, nan])})
    other = Scores(users, {("encoder", "ndcg"): np.array([0.3, 0.5, 0.5, 0.9])})
    told = ranked_as(other, first)
    assert told["diff"] == pytest.approx(0.1) and told["diff_low"] == pytest.approx(told["diff_high"])
    assert told["value"] == pytest.approx(0.55) and told["n"] == 4
    assert ranked_as(first, first)["diff"] is None


def test_an_encoder_without_a_tower_has_no_speed(toy, tmp_path):
    folder = tmp_path / "vectors"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"engine": "vectors"}))
    trained = {"there": toy.stage("train-encoder"), "vectors": folder}
    assert set(texts_per_s(trained, ["blue wool"], 1)) == {"there"}


def test_scores_are_those_of_the_window_that_is_asked_for(toy):
    inputs = {name: toy.stage(name) for name in ("prepare", "train-encoder", "embed")}
    config, _ = load(toy.overrides)
    variant = next(iter(config.variants.values()))
    valid, rank = (
        request_scores(inputs, window, variant, config.evaluation.gains, 0) for window in ("valid", "rank")
    )
    assert len(valid.users) != len(rank.users)
    assert {model for model, _ in valid.values} == {"encoder", "text_raw"}
    assert valid.ndcg("encoder") == "ndcg_true", "the shop knows what is wanted"


def test_texts_are_spread_over_the_catalogue():
    assert _sample(list("abcde"), 3) == ["a", "c", "e"]
    assert _sample(["a", "b"], 5) == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["encoder=top"], "encoder=top: expected the presets under compare.presets"),
        (["compare.presets=[adapter]"], "expected two presets or more, each once; found adapter"),
        (["compare.presets=[adapter,tpo]"], "found 'tpo'. Did you mean top?"),
        (["compare.texts=0"], "compare.texts: expected at least 1; found 0"),
    ],
)  # fmt: skip
def test_what_makes_no_comparison_is_refused(words, text):
    with pytest.raises(ConfigError) as error:
        presets_of(words)
    assert text in str(error.value)


def test_presets_are_read_from_what_was_typed():
    assert presets_of(["compare.presets=[top,lora]"]) == ("top", "lora")
    assert presets_of([]) == ("adapter", "small", "static")
