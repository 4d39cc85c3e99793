"""The small parts of the stages: columns, rows, folds, blocks, references, and whose code counts."""

import ast
import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.candidates.merge import Pool
from recsys.core import columns as c
from recsys.core.errors import ConfigError
from recsys.core.log import RowBlock
from recsys.data.requests import request_arrays
from recsys.features.attributes import Attributes
from recsys.interest.score import INTEREST_COLUMNS
from recsys.pipelines import train_ranker
from recsys.pipelines.baselines import Asked
from recsys.pipelines.features import attribute_block, context_block
from recsys.pipelines.models import ALONE, sources_of
from recsys.pipelines.path import READS, STAGES, stage_configs
from recsys.pipelines.prepare import TRUE_PREFERENCE
from recsys.pipelines.reads import count_read
from recsys.pipelines.recall import _of, recall_of
from recsys.pipelines.report import in_words
from recsys.pipelines.rows import kind_of, kinds, row_block, rows_name, shown_pool
from recsys.pipelines.select import chosen
from recsys.pipelines.settings import load, raw_files
from recsys.pipelines.shop_references import shop_references
from recsys.pipelines.train_ranker import (
    RERANKERS,
    Lists,
    Rows,
    applied,
    columns_of,
    fit,
    lists_of,
    load_rows,
    searched,
)
from recsys.pipelines.variants import Variant, cuts_of
from recsys.ranking.config import RerankerConfig, SearchConfig
from recsys.ranking.first_stage import SelectConfig
from recsys.ranking.frame import RankFrame
from recsys.ranking.reranker import count_trees, train

# What a stage imports without its output depending on more than values that are in its key.
HARMLESS = {"recsys.pipelines.runner", "recsys.pipelines.settings", "recsys.pipelines.reads"}


def before(name):
    """A stage and all that it stands on."""
    return {name}.union(*(before(earlier) for earlier in READS[name]))


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_is_repeated_when_code_that_it_uses_changes(stage):
    """Whatever a stage imports is in its code version, or in that of a stage which it reads."""
    code = {one.name: one.code for one in STAGES}
    covered = {"recsys.core", *(module for name in before(stage.name) for module in code[name])}
    path = Path(importlib.import_module(stage.work.__module__).__file__)
    imported = {
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("recsys.")
    }
    assert stage.work.__module__ in stage.code
    assert not [
        module
        for module in imported - HARMLESS
        if not any(module == one or module.startswith(f"{one}.") for one in covered)
    ]


def test_stages_read_only_what_came_before():
    seen = []
    for stage in STAGES:
        assert set(READS[stage.name]) <= set(seen)
        seen.append(stage.name)


def test_a_setting_enters_the_keys_of_its_own_stages_only():
    plain = stage_configs(load([])[0])

    def changed(*overrides):
        other = stage_configs(load(overrides)[0])
        return {name for name, config in other.items() if config != plain[name]}

    assert changed("ranker.num_leaves=9") == {"train-ranker"}
    assert changed("scoring.k=3") == {"score"}
    assert changed("evaluation.n_boot=7") == {"evaluate"}
    assert changed("evaluation.exclude_seen=true") == {"candidates", "evaluate"}
    assert changed("data.shop.users=70") == {"prepare"}
    assert changed("paths.root=elsewhere", "tracking=none", "force=true") == set()
    assert "train-encoder" in changed("seed=4") and "prepare" not in changed("seed=4")
    assert "train-encoder" not in changed("features.past=3")


def test_the_place_of_files_does_not_count_but_their_content_does(tmp_path):
    here, there = (load(["data=files", f"data.dir={tmp_path}/{name}"])[0] for name in ("a", "b"))
    assert stage_configs(here) == stage_configs(there)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "events.csv").write_text("x")
    (tmp_path / "a" / "items.parquet").write_text("x")
    (tmp_path / "a" / "notes.txt").write_text("x")
    assert set(raw_files(here.data)) == {"events", "items"}
    assert raw_files(load([])[0].data) == {}


def test_the_files_that_are_hashed_are_those_that_are_read(tmp_path):
    for name in ("events-old.parquet", "events.parquet", "events.csv", "items_2.csv", "items.csv"):
        (tmp_path / name).write_text(name)
    (tmp_path / "users").mkdir()
    config = load(["data=files", f"data.dir={tmp_path}"])[0].data
    found = {"events": "events.parquet", "items": "items.csv", "users": "users"}
    assert raw_files(config) == {table: tmp_path / name for table, name in found.items()}


def test_text_and_behaviour_share_no_column_and_full_has_all(toy):
    names = [*toy.table("features", "default.features").columns, *INTEREST_COLUMNS]
    columns = {model: columns_of(model, names) for model in RERANKERS}
    assert columns["full"] == tuple(names)
    assert set(columns["text_only"]) == set(INTEREST_COLUMNS)
    assert not set(columns["text_only"]) & set(columns["behaviour_only"])
    assert set(columns["text_only"]) | set(columns["behaviour_only"]) == set(names)
    assert set(columns["full"]) - set(columns["no_interest"]) == {
        name for name in INTEREST_COLUMNS if name.startswith("interest_")
    }
    for model, its in columns.items():  # what was trained is what was asked for
        settings = json.loads(
            (toy.stage("train-ranker") / "default" / model / "0" / "reranker.json").read_text()
        )
        assert tuple(settings["columns"]) == its, model


def small():
    values = np.arange(10, dtype=np.float32).reshape(5, 2)
    labels = np.array([1, 0, 2, 0, 3], np.uint8)
    frame = RankFrame(("item_popularity", "interest_click"), values, np.array([0, 3, 3, 5]), labels)
    return Rows(frame, np.arange(5, dtype=np.int32))


POOL = Pool(
    ("popular", "nearest", "covisit"),
    np.array([0, 4, 4, 6]),
    np.arange(6, dtype=np.int32),
    np.array([[1, 3, 0], [0, 1, 0], [2, 2, 9], [0, 0, 1], [1, 0, 0], [0, 0, 0]], np.int16),
    np.zeros((6, 3), np.float32),
)


def test_a_reranker_that_stands_alone_chooses_from_its_own_sources():
    assert sources_of("text_only", POOL.sources) == ("nearest",)
    assert sources_of("behaviour_only", POOL.sources) == ("popular", "covisit")
    assert sources_of("full", POOL.sources) == POOL.sources
    assert sources_of("text_only", ("popular",)) == ("popular",)  # it would have none

    def rows(kind, n):
        return chosen(POOL, kind, SelectConfig(n=n), None).tolist()

    # row 5 was offered by nobody: the catalogue is pooled whole, and it is everyone's, last
    assert rows("retrieved", 2) == [0, 1, 4, 5]
    assert rows("text_only", 2) == [1, 2, 5]
    assert rows("behaviour_only", 2) == [0, 3, 4, 5]
    assert rows("text_only", 9) == [0, 1, 2, 5]
    assert rows("behaviour_only", 9) == [0, 2, 3, 4, 5]


def test_a_reranker_that_stands_alone_gets_as_many_rows_as_the_others(toy):
    tables = {kind: toy.table("select", rows_name("default", kind)) for kind in ("retrieved", *ALONE)}
    assert {kind: table.group_by(c.REQUEST).len()["len"].max() for kind, table in tables.items()} == {
        "retrieved": 25,
        "text_only": 10,  # all that its one source has
        "behaviour_only": 23,  # its three sources overlap
    }
    assert tables["text_only"]["rank_nearest"].null_count() == 0
    offered = tables["behaviour_only"].select("rank_popular", "rank_repeat", "rank_covisit")
    assert offered.filter(pl.all_horizontal(pl.all().is_null())).height == 0


def test_lists_are_those_that_the_variant_names():
    rows = {"retrieved": small(), "logged": small()}

    def learned(how, model="full"):
        return [frame.n_rows for frame in lists_of(model, rows, how, RerankerConfig()).frames]

    assert learned("retrieved") == learned("logged") == [5]
    assert learned("both") == [5, 5]
    rows["text_only"] = Rows(small().frame.select_requests(np.array([True, True, False])), small().items[:3])
    assert learned("both", "text_only") == [3, 5]
    assert learned("retrieved", "text_only") == [3]
    assert learned("retrieved") == [5]
    assert lists_of("text_only", rows, "both", RerankerConfig()).frames[1].columns == ("interest_click",)
    left = lists_of("full", rows, "both", RerankerConfig(leave_out=("interest_click",))).frames
    assert all("interest_click" not in frame.columns and len(frame.columns) > 0 for frame in left)
    for key, value in (("leave_out", ("planet",)), ("categorical", ("planet",)), ("monotone", {"planet": 1})):
        with pytest.raises(ConfigError, match=rf"ranker\.{key}.*found planet"):
            lists_of("text_only", rows, "both", RerankerConfig(**{key: value}))
    only = {"retrieved": small()}  # nothing was shown: what there is teaches
    assert [frame.n_rows for frame in lists_of("full", only, "logged", RerankerConfig()).frames] == [5]


def world(n=60):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(n * 5, 2)).astype(np.float32)
    labels = (values[:, 0] > 0.7).astype(np.uint8) * 3
    frame = RankFrame(("item_a", "item_b"), values, np.arange(n + 1) * 5, labels)
    window = np.array(["rank"] * (n // 2) + ["valid"] * (n // 4) + ["test"] * (n - n // 2 - n // 4))
    return frame, window, (np.arange(n) % 4).astype(np.uint8)


def taught(monkeypatch, variant):
    """The requests that each call of train was given, by the first value of their first row."""
    frame, window, fold = world()
    first = {float(frame.values[5 * r, 0]): r for r in range(frame.n_requests)}
    calls = []

    def spy(learn, valid, config, **more):
        def of(part):
            return None if part is None else [first[float(v)] for v in part.values[::5, 0]]

        calls.append((of(learn), of(valid), more))
        return train(learn, valid, config, **more)

    train = train_ranker.train_boosters
    monkeypatch.setattr(train_ranker, "train_boosters", spy)
    config = RerankerConfig(num_iterations=6, min_data_in_leaf=2, num_leaves=4)
    fitted = fit(Lists((frame,)), window, fold, variant, config)
    assert fitted.columns == frame.columns
    return calls, window, fold, fitted


def test_valid_stops_what_it_does_not_teach(monkeypatch):
    calls, window, _, _ = taught(monkeypatch, Variant())
    assert [(learn, valid) for learn, valid, _ in calls] == [
        (np.flatnonzero(window == "rank").tolist(), np.flatnonzero(window == "valid").tolist())
    ]


def test_folds_of_users_choose_the_trees_and_then_everything_teaches(monkeypatch):
    asked = []

    def spy(learn, folds, config):
        asked.append((learn.n_requests, folds.tolist()))
        return count_trees(learn, folds, config)

    monkeypatch.setattr(train_ranker, "count_trees", spy)
    calls, window, fold, fitted = taught(monkeypatch, Variant(train=("rank", "valid"), stop="folds"))
    teach = window != "test"
    assert asked == [(teach.sum(), fold[teach].tolist())]
    ((whole, none, more),) = calls
    assert whole == np.flatnonzero(teach).tolist() and none is None
    assert more["num_iterations"] == fitted.best_iteration > 0


def test_a_search_is_judged_by_what_chooses_the_trees():
    pytest.importorskip("optuna")
    frame, window, fold = world()
    config = RerankerConfig(
        num_iterations=4, min_data_in_leaf=2, num_leaves=4, threads=1, search=SearchConfig(trials=2)
    )
    lists, teach = Lists((frame,)), window == "rank"
    _, tried = searched(lists, window, fold, Variant(), config)
    judged = train(frame.select_requests(teach), frame.select_requests(window == "valid"), config).valid_ndcg
    assert tried[0].value == judged and len(tried) == 2
    _, tried = searched(lists, window, fold, Variant(stop="folds"), config)
    assert tried[0].value == count_trees(frame.select_requests(teach), fold[teach], config)[1]


def test_settings_name_only_columns_that_are_there():
    config = RerankerConfig(monotone={"item_a": 1, "item_gone": -1})
    made = applied(("item_a", "item_x_colour"), config, ["item_x_colour", "user_x_device"])
    assert made.monotone == {"item_a": 1}
    assert made.categorical == ("item_x_colour",)


def test_labels_of_the_rows_are_those_of_the_truth(toy, data):
    inputs = {name: toy.stage(name) for name in ("select", "features")}
    rows = load_rows(inputs, "default", data)
    truth = {(r, i): label for r, i, label in data.truth.select(c.REQUEST, c.ITEM, c.LABEL).iter_rows()}
    request = np.repeat(np.arange(len(data.requests)), rows.frame.groups)
    expected = [truth.get((r, i), 0) for r, i in zip(request.tolist(), rows.items.tolist(), strict=True)]
    assert rows.frame.labels.tolist() == expected
    assert set(expected) >= {0, 1}
    shown = load_rows(inputs, "default.logged", data)
    assert shown.frame.positions is not None and shown.frame.positions.min() == 1
    assert rows.frame.positions is None  # an item that was not shown has no place


def test_row_blocks_have_a_place_for_empty_requests():
    rows = pl.DataFrame(
        {c.REQUEST: [0, 0, 2], c.ITEM: [5, 6, 7]}, schema={c.REQUEST: pl.Int32, c.ITEM: pl.Int32}
    )
    block = row_block(rows, 4)
    assert block.offsets.tolist() == [0, 2, 2, 3, 3] and block.offsets.dtype == np.int64
    assert block.items.tolist() == [5, 6, 7]


def test_names_and_kinds_of_rows(data):
    assert (rows_name("strict"), rows_name("strict", "logged")) == ("strict", "strict.logged")
    assert kinds(data) == ("retrieved", "behaviour_only", "text_only", "logged")
    assert kind_of("text_only", kinds(data)) == "text_only"
    assert kind_of("full", kinds(data)) == kind_of("text_only", ("retrieved",)) == "retrieved"
    pool = shown_pool(data)
    assert pool.sources == ("shown",)
    assert pool.ranks[:, 0].tolist() == [
        place + 1 for size in np.diff(pool.offsets).tolist() for place in range(size)
    ]


def test_attribute_and_context_blocks_repeat_by_row():
    items = Attributes(("item_x_weight",), np.array([[1.0], [2.0], [3.0]], np.float32))
    users = Attributes(("user_x_age",), np.array([[30.0], [40.0]], np.float32))
    rows = RowBlock(np.array([0, 2, 2, 3]), np.array([2, -1, 0], np.int32))
    names, values = attribute_block(items, users, np.array([1, 0, -1], np.int32), rows)
    assert names == ("item_x_weight", "user_x_age")
    np.testing.assert_array_equal(values, [[3.0, 40.0], [np.nan, 40.0], [1.0, np.nan]])
    requests = pl.DataFrame({"ctx_hour": [7, 8, 9], "ctx_page": ["a", "b", "c"], "other": [1, 2, 3]})
    names, values = context_block(requests, rows)
    assert names == ("ctx_hour",)
    assert values.tolist() == [[7.0], [7.0], [9.0]]
    names, values = context_block(requests.select("other"), rows)
    assert names == () and values.shape == (3, 0) and values.dtype == np.float32


def test_some_requests_of_a_pool():
    items = np.arange(6, dtype=np.int32)
    pool = Pool(
        ("a",),
        np.array([0, 2, 2, 5, 6]),
        items,
        items[:, None].astype(np.int16),
        np.zeros((6, 1), np.float32),
    )
    part = _of(pool, np.array([1, 2]))
    assert part.offsets.tolist() == [0, 0, 3]
    assert part.items.tolist() == [2, 3, 4] == part.ranks[:, 0].tolist()
    assert _of(pool, np.array([0, 3])).items.tolist() == [0, 1, 5]


def test_reads_of_the_test_window_are_counted_by_name(tmp_path):
    stage = tmp_path / "work" / "evaluate" / "0123"
    stage.mkdir(parents=True)
    office, news = (pl.DataFrame({c.REQUEST_ID: ["a", "b"], c.LABEL: [1, label]}) for label in (1, 2))
    reads = (("office", office), ("office", office), ("news", news), ("another name", office[::-1]))
    assert [count_read(stage, *read) for read in reads] == [1, 2, 1, 3]
    lines = (tmp_path / "test-reads.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == [name for name, _ in reads]


def test_the_recall_ceiling_is_told_of_the_windows_that_are_looked_at(toy, data):
    inputs = {name: toy.stage(name) for name in ("candidates", "select")}
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    valid = np.flatnonzero(window == "valid")
    found = recall_of(inputs, ["default"], valid, data)
    assert found is not None and found["window"].unique().to_list() == ["valid"]
    truth = data.truth.filter(pl.col(c.LABEL) > 0, pl.col(c.REQUEST).is_in(valid))
    rows = toy.table("select", "default")
    hit = truth.join(rows, on=[c.REQUEST, c.ITEM], how="semi").height
    assert found.filter(pl.col("source") == "rows")["recall"].item() == pytest.approx(hit / truth.height)
    told = toy.table("evaluate", "recall")
    assert set(told["window"]) == {"rank", "valid", "test"}
    assert recall_of(inputs, ["default"], valid, replace(data, meta=data.meta | {"rows": "logged"})) is None


@pytest.fixture(scope="module")
def asked(data):
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    rows = np.flatnonzero(window == "test")
    cuts = cuts_of(data.log, request_arrays(data.requests), window, data.windows, Variant())
    return Asked(data, rows, cuts, clock=True)


def test_references_of_the_shop(toy, data, asked):
    folder = toy.stage("prepare") / TRUE_PREFERENCE
    models, preference = shop_references(data, asked.rows, asked.cuts, folder)
    assert list(models) == ["learnable", "oracle"]
    some = asked.rows[[0, 3, 4]]
    gains = preference(some)
    assert gains.shape == (3, len(data.items)) and gains.min() >= 0 and gains.max() > 0
    assert models["oracle"](some).tolist() == gains.tolist()
    all_rows = models["learnable"](asked.rows)
    assert all_rows.shape == (len(asked.rows), len(data.items))
    np.testing.assert_array_equal(models["learnable"](some), all_rows[[0, 3, 4]])
    assert shop_references(data, asked.rows, asked.cuts, folder / "nowhere") == ({}, None)


def test_the_oracle_is_perfect_and_the_learnable_is_not(toy):
    metrics = pl.read_parquet(toy.run_dir / "metrics.parquet")
    true = metrics.filter(
        pl.col(c.METRIC) == "ndcg_true",
        pl.col(c.SLICE) == "all",
        pl.col(c.WINDOW) == "test",
        pl.col(c.K) == 10,
    )
    value = dict(true.select(c.MODEL, "value").iter_rows())
    assert value["oracle"] == pytest.approx(1.0, abs=1e-12)
    assert value["random"] < value["learnable"] < 1.0


def test_a_variant_in_words():
    text = in_words(Variant())
    assert text.startswith("the reranker learned on rank") and text.endswith("; state to the second")
    text = in_words(
        Variant(("rank", "valid"), stop="folds", freeze={"test": "test"}, snapshot="daily", lag_hours=2.5)
    )
    assert text.startswith("the reranker learned on rank and valid")
    assert "; state as of the last midnight, 2.5 hours late; " in text
    assert text.endswith("stands still for test at the start of test")
