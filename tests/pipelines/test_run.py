"""The whole path on a toy shop: what it leaves, what it says, what it repeats, and how it goes on."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.cli import main
from recsys.core import columns as c
from recsys.core.errors import ConfigError
from recsys.core.tables import METRICS, PREDICTIONS, RECOMMENDATIONS, ROWS, check
from recsys.evaluation.ranks import MID_RANK
from recsys.interest.score import INTEREST_COLUMNS
from recsys.pipelines.path import READS, STAGES
from recsys.serving import batch
from recsys.serving.batch_config import BatchConfig
from recsys.serving.ranker import Ranker
from tests.pipelines.toy_shop import MEASURED, toy_data

NAMES = [stage.name for stage in STAGES]
SOURCES = ("popular", "repeat", "covisit", "nearest")
HEX = set("0123456789abcdef")


def skipped(lines):
    return [line.partition(":")[0] for line in lines if line.endswith(": unchanged, skipped")]


def worked(lines):
    return [name for name in NAMES for line in lines if line.startswith(f"{name} ")]


def test_every_stage_works_once_and_the_last_lines_say_where_things_are(toy):
    assert worked(toy.said) == NAMES
    assert skipped(toy.said) == []
    assert toy.said[-4:] == (
        f"report: {toy.run_dir}/report.html",
        f"recommendations: {toy.run_dir}/recommendations",
        f"model: {toy.run_dir}/model",
        f"done: {toy.run_dir} holds report, recommendations, model",
    )
    assert any(line.startswith("recall ceiling, test default: popular .") for line in toy.said)
    for line in toy.said[-4:-1]:
        assert Path(line.partition(": ")[2]).exists()


def test_the_run_folder_holds_what_people_look_for(toy):
    assert {path.name for path in toy.run_dir.iterdir()} == {
        "manifest.json", "metrics.parquet", "model", "per_request.parquet", "predictions.parquet",
        "recommendations", "report.html", "stages",
    }  # fmt: skip
    assert sorted(path.name for path in (toy.run_dir / "stages").iterdir()) == sorted(NAMES)
    for name in NAMES:
        link = toy.run_dir / "stages" / name
        assert link.is_symlink() and not os.path.isabs(os.readlink(link))
        assert toy.stage(name).parent == (toy.root / "work" / name).resolve()
    table = toy.run_dir / "predictions.parquet"  # hard links: the run folder stands on its own
    assert table.samefile(toy.stage("evaluate") / "predictions.parquet")


def test_pool_and_rows(toy, data):
    pool, rows = toy.table("candidates", "default"), toy.table("select", "default")
    for frame in (pool, rows):
        check(frame, ROWS)
        assert frame.schema == pl.Schema(
            {c.REQUEST: pl.Int32, c.ITEM: pl.Int32}
            | {n: t for s in SOURCES for n, t in ((f"rank_{s}", pl.Int16), (f"score_{s}", pl.Float32))}
        )
        assert frame[c.REQUEST].is_sorted()
        assert set(frame[c.REQUEST]) == set(range(len(data.requests)))
        assert frame.filter(pl.all_horizontal(pl.col("^rank_.*$").is_null())).is_empty()
    assert rows.group_by(c.REQUEST).len()["len"].max() <= 25
    # The rows are rows of the pool, in the pool's order.
    place = pool.with_row_index().join(rows, on=[c.REQUEST, c.ITEM], how="inner", maintain_order="right")
    assert len(place) == len(rows) and place["index"].is_sorted()


def test_shown_lists_are_kept_whole_beside_them(toy, data):
    shown = toy.table("select", "default.logged")
    expected = data.truth.filter(pl.col(c.SHOWN)).select(c.REQUEST, c.ITEM)
    assert shown.select(c.REQUEST, c.ITEM).equals(expected)


def test_the_recall_table_knows_sources_pool_and_rows(toy):
    recall = toy.table("evaluate", "recall")
    assert set(recall["source"]) >= {*SOURCES, "pool", "rows"}
    assert set(recall["window"]) == {"rank", "valid", "test"}
    assert recall["recall"].is_between(0, 1).all()
    wide = recall.pivot("source", index="window", values="recall")
    assert (wide["pool"] >= wide["rows"]).all()
    assert (wide["rows"] >= wide["nearest"] - 1e-12).all()


@pytest.mark.parametrize("name", ["default", "default.logged"])
def test_features_and_scores_are_aligned_with_the_rows(toy, name):
    rows = toy.table("select", name)
    features, scores = toy.table("features", f"{name}.features"), toy.table("features", f"{name}.scores")
    assert len(features) == len(scores) == len(rows)
    assert scores.columns == list(INTEREST_COLUMNS)
    assert set(features.dtypes) | set(scores.dtypes) == {pl.Float32}
    assert all(column.startswith(("item_", "user_", "pair_", "ctx_")) for column in features.columns)
    assert not set(features.columns) & set(scores.columns)
    best = pl.concat([rows, scores], how="horizontal").group_by(c.REQUEST).agg(
        pl.col("interest_click_rank").min(), pl.col("interest_click").arg_max().alias("at"),
        pl.col("interest_click_rank").arg_min().alias("first"),
    )  # fmt: skip
    assert (best["interest_click_rank"] == 1).all()
    assert (best["at"] == best["first"]).all()


def test_predictions(toy, data):
    predictions = check(pl.read_parquet(toy.run_dir / "predictions.parquet"), PREDICTIONS)
    assert set(predictions[c.MODEL]) == MEASURED
    assert set(predictions[c.VARIANT]) == {"default"}
    assert set(predictions[c.SEED]) == {0}
    evaluated = data.requests.filter(pl.col(c.WINDOW).cast(pl.String).is_in(["valid", "test"]))
    asked = set(evaluated[c.REQUEST])
    for (model,), frame in predictions.partition_by(c.MODEL, as_dict=True).items():
        assert set(frame[c.REQUEST]) <= asked
        if model != "text_only":
            assert set(frame[c.REQUEST]) == asked, model
        assert frame.group_by(c.REQUEST).agg(pl.col(c.RANK).min())[c.RANK].eq(1).all()
    by_score = predictions.sort(c.MODEL, c.REQUEST, c.RANK).group_by(c.MODEL, c.REQUEST).agg(c.SCORE)
    assert all(scores == sorted(scores, reverse=True) for scores in by_score[c.SCORE].to_list())
    assert predictions[MID_RANK].is_between(1, 80).all()
    ids = predictions.join(data.items.select(c.ITEM, there=c.ITEM_ID), on=c.ITEM)
    assert (ids[c.ITEM_ID] == ids["there"]).all()


def test_metrics_and_differences(toy):
    metrics = check(pl.read_parquet(toy.run_dir / "metrics.parquet"), METRICS)
    assert set(metrics[c.MODEL]) == MEASURED
    assert set(metrics[c.WINDOW]) == {"valid", "test"}
    assert "all" in set(metrics[c.SLICE])
    assert {"ndcg", "hit_rate", "recall", "map", "mrr", "auc"} <= set(metrics[c.METRIC])
    assert set(metrics.filter(pl.col(c.METRIC) == "ndcg")[c.K]) == {5, 10, 20}
    assert set(metrics.filter(pl.col(c.METRIC) == "auc")[c.K]) == {0}
    there = metrics.filter(pl.col("value").is_not_nan() & pl.col(c.CI_LOW).is_not_nan())
    assert (there[c.CI_LOW] <= there["value"] + 1e-9).all() and (
        there["value"] <= there[c.CI_HIGH] + 1e-9
    ).all()
    whole = metrics.filter(pl.col(c.SLICE) == "all", pl.col(c.METRIC) == "ndcg_true")
    best = dict(whole.filter(pl.col(c.MODEL) == "oracle").select(c.WINDOW, "value").iter_rows())
    assert best.keys() == {"valid", "test"}
    assert all(value == pytest.approx(1.0) for value in best.values())
    assert whole["value"].is_between(0, 1 + 1e-9).all()
    differences = toy.table("evaluate", "differences")
    assert set(differences["model_a"]) == {"full"}
    assert set(differences["model_b"]) == MEASURED - {"full"}
    assert set(differences["verdict"]) <= {"better", "worse", "cannot tell"}


def test_the_report_begins_with_a_verdict(toy):
    page = (toy.run_dir / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    first = re.search(r"<body[^>]*>\s*<main>\s*<p class=\"verdict[^>]*>([^<]+)<", page)
    assert first is not None
    assert re.search(r"\bfull\b.*\bpopularity\b.* on test: NDCG@10 ", first[1])
    for word in ("learnable", "oracle", "text_raw", "behaviour_only", "candidate"):
        assert word in page
    for heading in ("New and rare items: with and without text", "For which items and users"):
        assert f">{heading}</h2>" in page  # the true preference has no slices: those are of what was observed
    assert "http://" not in page.replace("http://www.w3.org", "")  # nothing is fetched


def test_recommendations(toy, data):
    parts = sorted((toy.run_dir / "recommendations").glob("*.parquet"))
    frame = check(pl.concat([pl.read_parquet(part) for part in parts]), RECOMMENDATIONS)
    assert set(frame[c.USER_ID]) == set(data.users[c.USER_ID])
    assert set(frame[c.MODEL]) == {"full"}
    ranks = frame.group_by(c.USER_ID, maintain_order=True).agg(c.RANK)[c.RANK].to_list()
    assert all(rank == list(range(1, 6)) for rank in ranks)
    assert set(frame[c.ITEM_ID]) <= set(data.items[c.ITEM_ID])


def test_the_model_is_the_stage_s_and_loads(toy, data):
    ranker = Ranker.load(toy.run_dir / "model", verify=True)
    assert ranker.position == len(data.log.time)
    assert ranker.bundle.manifest["windows"] == {"encoder": "fit", "reranker": "rank", "state": "all"}
    assert ranker.bundle.manifest["engine"] == "onnx"


def test_the_manifest(toy):
    manifest = toy.manifest
    assert manifest["name"] == "shop"
    assert {"config_hash", "data_hash", "code_hash", "inputs", "config", "version"} <= set(manifest)
    assert manifest["config"]["select"]["n"] == 25
    assert manifest["saw"] == {
        "encoder": "fit",
        "text mean": "fit",
        "reranker default": "rank",
        "probabilities default": "rank",
        "tree count default": "valid",
        "state": "all",
    }
    stages = manifest["stages"]
    assert set(stages) == set(NAMES)
    for name, record in stages.items():
        assert set(record["key"]) <= HEX and len(record["key"]) == 64
        assert len(record["code"]) == 64
        assert record["folder"] == str(toy.stage(name)) == f"{toy.stage(name).parent}/{record['key'][:16]}"
        assert record["seconds"] >= 0 and record["peak_gib"] > 0
        assert record["started"].endswith("+00:00")
        assert not record["skipped"]
        given = dict(record["inputs"])
        assert (given.pop("pretrained", None) is not None) == (name == "train-encoder")
        assert given == {before: stages[before]["key"] for before in READS[name]}
    assert stages["prepare"]["rows"]["events"] == 5000
    assert stages["candidates"]["rows"]["default"] == len(toy.table("candidates", "default"))
    assert stages["evaluate"]["rows"]["predictions"] == len(toy.table("evaluate", "predictions"))
    assert stages["score"]["rows"] == {"users": 60, "recommendations": 300}
    assert stages["train-encoder"]["rows"]["pairs"] > 0
    assert all(record["rows"] for record in stages.values())


def test_a_second_run_skips_everything_and_has_everything(toy):
    lines = toy.again(toy.root / "second")
    assert skipped(lines) == NAMES
    assert worked(lines) == []
    assert "nothing was left to do (force=true repeats what is there)" in lines
    assert "nothing was left to do (force=true repeats what is there)" not in toy.said
    second = toy.root / "second"
    assert {path.name for path in second.iterdir()} == {path.name for path in toy.run_dir.iterdir()}
    assert (second / "metrics.parquet").read_bytes() == (toy.run_dir / "metrics.parquet").read_bytes()
    assert all(
        record["skipped"] for record in json.loads((second / "manifest.json").read_text())["stages"].values()
    )


def test_other_threads_repeat_nothing(toy):
    assert skipped(toy.again(toy.root / "threads", "threads=2")) == NAMES


def test_what_changes_repeats_what_follows_and_nothing_else(toy):
    lines = toy.again(toy.root / "leaves", "ranker.num_leaves=4")
    assert worked(lines) == ["train-ranker", "evaluate", "bundle", "score"]
    assert skipped(lines) == NAMES[:6]
    lines = toy.again(toy.root / "boot", "evaluation.n_boot=10")
    assert worked(lines) == ["evaluate"]
    lines = toy.again(toy.root / "k", "scoring.k=3")
    assert worked(lines) == ["score"]


def test_a_run_without_the_test_window_does_not_read_it_and_others_are_counted(toy):
    toy.again(toy.root / "blind", "evaluation.read_test=false", "evaluation.n_boot=10")
    metrics = pl.read_parquet(toy.root / "blind" / "metrics.parquet")
    assert set(metrics[c.WINDOW]) == {"valid"}
    recall = pl.read_parquet(toy.root / "blind" / "stages" / "evaluate" / "recall.parquet")
    assert set(recall["window"]) == {"rank", "valid"}
    reads = [json.loads(line) for line in (toy.root / "test-reads.jsonl").read_text().splitlines()]
    assert reads and all(one["name"] == "shop" for one in reads)
    count = len(reads)
    toy.again(toy.root / "blind-again", "evaluation.read_test=false", "evaluation.n_boot=10")
    assert len((toy.root / "test-reads.jsonl").read_text().splitlines()) == count


def test_a_variant_is_never_measured_on_what_it_learned(toy):
    learned = ["variants.default.train=[rank, valid]", "variants.default.stop=folds"]
    toy.again(toy.root / "refit", *learned, "evaluation.n_boot=10")
    assert set(pl.read_parquet(toy.root / "refit" / "predictions.parquet")[c.REQUEST]) == set(
        toy_data().requests.filter(pl.col(c.WINDOW) == "test")[c.REQUEST]
    )
    with pytest.raises(ConfigError, match="expected one that did not learn valid, on which it is measured"):
        toy.again(toy.root / "none", *learned, "evaluation.read_test=false")


def test_one_stage_alone_uses_what_is_there(toy, capsys):
    arguments = ["train-ranker", *toy.overrides, f"paths.run_dir={toy.root}/one"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    needed = ["prepare", "train-encoder", "embed", "candidates", "select", "features", "train-ranker"]
    assert skipped(lines) == needed
    assert lines[-1] == f"done: {toy.root}/one"
    assert sorted(path.name for path in (toy.root / "one" / "stages").iterdir()) == sorted(needed)


def test_one_stage_alone_refuses_where_what_it_needs_is_missing(toy, tmp_path, capsys):
    arguments = ["features", *toy.overrides, f"paths.root={tmp_path}", f"paths.run_dir={tmp_path}/run"]
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.err == (
        "recsys: features: expected the output of the stage before it, prepare, for these data and settings; "
        f"found none in {tmp_path / 'work' / 'prepare'}. "
        "Run it first: recsys prepare, with the same overrides (or recsys run).\n"
    )
    assert not (tmp_path / "run").exists()
    assert said.err.count("\n") == 1
    assert not list((tmp_path / "work").glob("*/*/stage.json"))
    # The first of them that lacks: another selection leaves what comes before it standing.
    assert main(["features", *toy.overrides, f"paths.run_dir={tmp_path}/run", "select.n=7"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("recsys: features: expected the output of the stage before it, select, ")
    assert "had select.n=25, now 7. Run it first: recsys select" in said.err
    assert not (tmp_path / "run").exists()


KILLED = """
import os, signal, sys
from recsys.pipelines import path
from recsys.pipelines import run
from dataclasses import replace

where, overrides = sys.argv[1], sys.argv[2:]

def fatal(stage):
    def work(inputs, config, out):
        stage.work(inputs, config, out)  # all is written, nothing is in its place
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(stage, work=work) if stage.name == where else stage

path.STAGES = tuple(fatal(stage) for stage in path.STAGES)
run.main(overrides)
"""


def killed_in(stage, toy, overrides, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    done = subprocess.run(
        [sys.executable, str(script), stage, *overrides], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    return done.stdout


def goes_on(stage, toy, tmp_path, changes):
    """Kill a run in a stage, look at what is left, and run again."""
    overrides = [*toy.overrides, f"paths.run_dir={tmp_path}/run", *changes]
    killed_in(stage, toy, overrides, tmp_path)
    folder = toy.root / "work" / stage
    before = {path.name for path in folder.iterdir()}
    half = {name for name in before if name.startswith(".tmp-")}
    assert len(half) == 1
    whole = half.pop().removeprefix(".tmp-")
    assert whole not in before  # no half output under a whole name
    assert not (tmp_path / "run" / "stages" / stage).exists()
    lines = toy.again(tmp_path / "run", *changes)
    after = {path.name for path in folder.iterdir()}
    assert whole in after and not any(name.startswith(".tmp-") for name in after)
    return lines


def test_a_killed_run_goes_on_at_the_first_unfinished_stage(toy, tmp_path):
    lines = goes_on("bundle", toy, tmp_path, ["ranker.num_leaves=5"])
    assert skipped(lines) == NAMES[: NAMES.index("bundle")]
    assert worked(lines) == ["bundle", "score"]
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("stage", NAMES)
def test_a_run_killed_in_any_stage_goes_on_there(toy, tmp_path, stage):
    lines = goes_on(stage, toy, tmp_path, [f"data.shop.seed={20 + NAMES.index(stage)}"])
    assert skipped(lines) == NAMES[: NAMES.index(stage)]
    assert worked(lines) == NAMES[NAMES.index(stage) :]


def test_a_stage_that_fails_leaves_nothing_and_the_others_stand(toy, tmp_path, monkeypatch):
    from recsys.pipelines import path
    from recsys.pipelines.runner import Stage

    def breaks(inputs, config, out):
        (out / "half").write_text("half")
        raise RuntimeError("it broke")

    score = path.STAGES[-1]
    monkeypatch.setattr(path, "STAGES", (*path.STAGES[:-1], Stage(score.name, breaks, score.code)))
    with pytest.raises(RuntimeError, match="it broke"):
        toy.again(tmp_path / "run", "scoring.k=2")
    assert not list((toy.root / "work" / "score").glob(".tmp-*"))
    assert (tmp_path / "run" / "stages" / "bundle").is_symlink()
    assert not (tmp_path / "run" / "report.html").exists()


def test_scoring_goes_on_at_the_partition_where_it_was_broken_off(toy, tmp_path, monkeypatch):
    asked, original = [], batch.part_bytes

    def breaks(ranker, part, config):
        asked.append(part.users[0])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return original(ranker, part, config)

    monkeypatch.setattr(batch, "part_bytes", breaks)
    pieces = ("scoring.k=4", "scoring.partition_size=15")
    with pytest.raises(KeyboardInterrupt):
        toy.again(tmp_path / "run", *pieces)
    toy.again(tmp_path / "run", *pieces)
    assert len(asked) == 5 and asked[2] == asked[3]  # four partitions; the broken one twice
    monkeypatch.undo()
    ranker = Ranker.load(toy.stage("bundle") / "model")
    users = ranker.bundle.users.decode(np.arange(len(ranker.bundle.users)))
    whole = batch.score_users(ranker, users, tmp_path / "whole", BatchConfig(k=4, partition_size=15))
    for path in whole.folder.iterdir():
        assert (tmp_path / "run" / "recommendations" / path.name).read_bytes() == path.read_bytes()
