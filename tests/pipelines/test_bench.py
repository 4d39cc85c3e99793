"""The form of benchmarks, and the features benchmark on a toy world."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from recsys.core import jit
from recsys.pipelines import bench_bundle, bench_features
from recsys.pipelines.bench import Cell, Figure, alternate, arguments, machine, report, spread, table
from tests.pipelines.toy_shop import toy_data, toy_run


def test_a_figure_holds_by_its_sense() -> None:
    assert Figure("a", 5, "x", goal=5, sense="min").holds is True
    assert Figure("a", 4, "x", goal=5, sense="min").holds is False
    assert Figure("a", 4, "x", goal=5, sense="max").holds is True
    assert Figure("a", 6, "x", goal=5, sense="max").holds is False
    assert Figure("a", 6, "x").holds is None
    assert Figure("a", 6, "x", goal=5).holds is None


def test_the_table_says_goal_and_verdict() -> None:
    text = table(
        [Figure("speed", 1234.5, "events/s", "polars", 1000, "min", 1000, 2000, "warm"), Figure("b", 2, "us")]
    )
    head, first, second = text.splitlines()
    assert head.split() == ["figure", "value", "unit", "range", "goal", "holds", "note"]
    assert first.split(None, 3)[:3] == ["speed", "1,234", "events/s"]
    assert "at least 1000  yes" in first
    assert first.endswith("against polars; warm")
    assert second.split() == ["b", "2", "us"]


def test_the_json_has_the_fixed_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures" / "x.json"
    report("x", [Figure("a", 1.0, "s", goal=2, sense="max")], out)
    told = json.loads(out.read_text())
    assert set(told) == {"bench", "figures"}
    assert set(told["figures"][0]) == {
        "name", "value", "unit", "against", "goal", "sense", "holds", "low", "high", "note",
        "commit", "machine",
    }  # fmt: skip
    assert told["figures"][0]["holds"] is True
    assert [path.name for path in out.parent.iterdir()] == ["x.json"]
    assert "figure" in capsys.readouterr().out


def test_what_was_not_measured_now_stays_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "x.json"
    report("x", [Figure("a", 1.0, "s"), Figure("b", 2.0, "s")], out, [Cell("model", "data", 0.5, 0.4, 0.6)])
    told = json.loads(out.read_text())
    told["figures"][0] |= {"commit": "earlier", "machine": "another"}
    out.write_text(json.dumps(told))
    report("x", [Figure("b", 3.0, "s"), Figure("c", 4.0, "s")], out)
    again = json.loads(out.read_text())
    assert [(row["name"], row["value"]) for row in again["figures"]] == [("a", 1.0), ("b", 3.0), ("c", 4.0)]
    assert [row["commit"] == "earlier" for row in again["figures"]] == [True, False, False]
    assert again["cells"] == told["cells"]


def test_the_machine_is_named() -> None:
    assert "cores" in machine()


def test_runs_alternate() -> None:
    calls: list[str] = []
    took = alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 3
    assert took["a"].low <= took["a"].middle <= took["a"].high
    assert spread([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)


def test_only_named_parts_may_be_asked_for() -> None:
    parser = arguments("about", ("replay", "calls"))
    assert parser.parse_args(["--only", "calls", "--quick"]).only == ["calls"]
    with pytest.raises(SystemExit):
        parser.parse_args(["--only", "nothing"])


SMALL = bench_features.Size(3_000, 50, 60, 20, 100, 1)


def test_the_synthetic_world_is_as_described() -> None:
    world = bench_features.make_world(SMALL)
    again = bench_features.make_world(SMALL)
    np.testing.assert_array_equal(world.log.item, again.log.item)
    assert (np.diff(world.log.time) >= 0).all()
    assert abs((world.log.kind == 0).mean() - 0.7) < 0.03
    most = np.sort(np.bincount(world.log.item, minlength=60))[::-1]
    assert most[0] > 5 * most[30]  # Zipf
    assert len(world.rows.items) == 2_000


def test_polars_counts_the_same_and_calls_are_timed() -> None:
    (ratio,) = bench_features.polars_figures(SMALL)
    assert (ratio.name, ratio.goal, ratio.sense) == ("counts_vs_polars", 5, "min")
    read, observe = bench_features.call_figures(SMALL)
    assert (read.name, read.goal) == ("read_100_us", 120)
    assert (observe.name, observe.goal) == ("observe_us", 25)
    assert read.value > 0
    assert observe.value > 0


def test_a_first_call_is_a_process_of_its_own_with_a_cache_of_its_own(tmp_path: Path) -> None:
    model = toy_run().run_dir / "model"
    user, items = toy_data().events["user_id"][-1], toy_data().items["item_id"].head(5).to_list()
    cache = jit.CACHE_FOLDER.parents[2] if jit.CACHE_FOLDER else tmp_path
    call = bench_bundle.first_call(model, user, items, cache)
    assert call.processor > 0
    assert call.wall > 0
    with pytest.raises(subprocess.CalledProcessError):  # a call that fails is no figure
        bench_bundle.first_call(tmp_path, user, items, tmp_path)


def test_calls_become_figures_by_their_wall_time() -> None:
    calls = [bench_bundle.Call(3.0, 1.0), bench_bundle.Call(1.0, 0.5), bench_bundle.Call(2.0, 1.5)]
    figure = bench_bundle.call_figure("warm_call_s", calls, 2, "kernels on disk")
    assert (figure.value, figure.low, figure.high, figure.goal, figure.holds) == (2.0, 1.0, 3.0, 2, True)
    assert figure.note == "kernels on disk; 1.00 s of processor time"


def test_every_figure_of_the_bench_is_a_part_that_can_be_asked_for() -> None:
    assert list(bench_features.PARTS) == ["replay", "polars", "calls", "bundle"]
