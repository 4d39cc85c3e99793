"""The stage runner on invented stages: skipped, resumed, shared, never half done."""

import json
import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.pipelines import keys
from recsys.pipelines.runner import Facts, Runner, Stage
from recsys.tracking.run import NullRun


@dataclass(frozen=True)
class Doubling:
    factor: int = 2


def double(inputs, config, out):
    table = pl.read_csv(inputs["events"])
    table.with_columns(pl.col("x") * config.factor).write_parquet(out / "table.parquet")
    return Facts(saw={"doubler": "fit"}, metrics=(("loss@1", 0.5, 3),), artifacts=("table.parquet",))


def total(inputs, config, out):
    value = pl.read_parquet(inputs["double"] / "table.parquet")["x"].sum()
    (out / "total.json").write_text(json.dumps(value))


DOUBLE = Stage("double", double, ("recsys.tracking",))
TOTAL = Stage("total", total, ("recsys.tracking",))


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("x\n1\n2\n3\n")
    return path


@pytest.fixture
def lines():
    return []


@pytest.fixture
def start(tmp_path, lines):
    def make(folder="first", **options):
        return Runner(tmp_path / "work", tmp_path / "runs" / folder, say=lines.append, **options)

    return make


def whole(runner, events, config=Doubling()):
    doubled = runner(DOUBLE, {"events": events}, config)
    return doubled, runner(TOTAL, {"double": doubled}, None)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_stages_hand_each_other_folders(start, events, lines, tmp_path):
    doubled, summed = whole(start(), events)
    assert json.loads((summed.folder / "total.json").read_text()) == 12
    assert doubled.folder == tmp_path / "work" / "double" / doubled.key[:16]
    assert names(doubled.folder) == ["stage.json", "table.parquet"]
    assert doubled.record["rows"] == {"table": 3}
    assert not doubled.skipped
    assert lines[0].startswith("double ")
    assert " 3 rows" in lines[0] and lines[0].endswith("GiB")


def test_the_record_says_what_it_depended_on_and_cost(start, events):
    doubled, summed = whole(start(), events)
    record = doubled.record
    assert record["config"] == {"factor": 2}
    assert set(record["inputs"]) == {"events"}
    assert record["saw"] == {"doubler": "fit"}
    assert record["seconds"] >= 0 and record["peak_gib"] > 0
    assert summed.record["inputs"] == {"double": doubled.key}


def test_an_unchanged_stage_is_skipped_and_says_so(start, events, lines):
    first, _ = whole(start(), events)
    lines.clear()
    again, _ = whole(start("second"), events)
    assert again.skipped and again.key == first.key
    assert lines == ["double: unchanged, skipped", "total: unchanged, skipped"]


def test_what_changes_a_key(start, events):
    runner = start()
    key = runner.key(DOUBLE, {"events": events}, Doubling())
    assert runner.key(DOUBLE, {"events": events}, Doubling(2)) == key
    assert runner.key(DOUBLE, {"events": events}, Doubling(3)) != key
    assert runner.key(replace(DOUBLE, name="twice"), {"events": events}, Doubling()) != key
    assert runner.key(replace(DOUBLE, code=("recsys.cli",)), {"events": events}, Doubling()) != key
    assert runner.key(DOUBLE, {"events": events, "more": events}, Doubling()) != key
    events.write_text("x\n1\n")
    assert start().key(DOUBLE, {"events": events}, Doubling()) != key


def test_a_change_goes_down_the_path_and_back_is_free(start, events, lines):
    whole(start(), events)
    _, summed = whole(start(), events, Doubling(3))
    assert json.loads((summed.folder / "total.json").read_text()) == 18
    lines.clear()
    whole(start(), events)
    assert all(line.endswith("unchanged, skipped") for line in lines)


def test_force_repeats_even_what_is_there(start, events):
    first, _ = whole(start(), events)
    (first.folder / "extra").write_text("left by hand")
    again, summed = whole(start(force=True), events)
    assert not again.skipped and not summed.skipped
    assert names(again.folder) == ["stage.json", "table.parquet"]


def test_only_one_stage_may_work(start, events, lines):
    with pytest.raises(
        DataError, match=r"total: expected the output of the stage before it, double,.*first: recsys double"
    ):
        whole(start(only="total"), events)
    start(only="double")(DOUBLE, {"events": events}, Doubling())
    doubled, summed = whole(start(only="total", force=True), events)
    assert doubled.skipped and not summed.skipped


def test_a_refused_command_leaves_no_run_folder(start, events, tmp_path):
    start(only="double")(DOUBLE, {"events": events}, Doubling())
    assert (tmp_path / "runs" / "first").is_dir()
    refused = start("second", only="last")
    refused.note(name="second")
    doubled = refused(DOUBLE, {"events": events}, Doubling())
    with pytest.raises(DataError, match="the stage before it, total"):
        refused(TOTAL, {"double": doubled}, None)
    assert not (tmp_path / "runs" / "second").exists()
    one = start("third", only="total")
    one.note(name="third")
    whole(one, events)
    folder = tmp_path / "runs" / "third"
    assert names(folder / "stages") == ["double", "total"]
    assert json.loads((folder / "manifest.json").read_text())["name"] == "third"


def test_a_further_command_in_a_run_folder_keeps_what_the_others_left(start, events, tmp_path):
    whole(start(), events)
    one = start(only="double")
    one(DOUBLE, {"events": events}, Doubling())
    manifest = json.loads((tmp_path / "runs" / "first" / "manifest.json").read_text())
    assert set(manifest["stages"]) == {"double", "total"} == set(one.records())
    assert not any(record["skipped"] for record in manifest["stages"].values())
    assert manifest["saw"] == {"doubler": "fit"}


def test_a_skipped_stage_keeps_its_cost_rows_and_windows_in_the_manifest(start, events, tmp_path):
    first, _ = whole(start(), events)
    whole(start("second"), events)
    manifest = json.loads((tmp_path / "runs" / "second" / "manifest.json").read_text())
    record = manifest["stages"]["double"]
    assert record["skipped"]
    for name in ("seconds", "peak_gib", "rows", "saw", "inputs", "code", "config", "started"):
        assert record[name] == first.record[name]
    assert manifest["saw"] == {"doubler": "fit"}


def test_raw_files_that_were_hashed_before_are_not_read_again(start, events, monkeypatch):
    runner = start(hashes={events: keys.hash_path(events)})
    monkeypatch.setattr(keys, "hash_path", lambda path: pytest.fail("read again"))
    assert not runner(DOUBLE, {"events": events}, Doubling()).skipped


def test_a_stage_without_rows_says_none(start, lines):
    start()(Stage("quiet", lambda inputs, config, out: None, ()), {}, None)
    assert "rows" not in lines[0] and lines[0].endswith("GiB")


def test_a_stage_that_fails_leaves_nothing(start, events, tmp_path):
    def fail(inputs, config, out):
        (out / "half").write_text("x")
        raise RuntimeError("it broke")

    with pytest.raises(RuntimeError, match="it broke"):
        start()(Stage("double", fail, ()), {"events": events}, Doubling())
    assert names(tmp_path / "work" / "double") == []


def test_a_stage_that_fails_leaves_earlier_outputs(start, events, tmp_path):
    first, _ = whole(start(), events)
    before = (tmp_path / "runs" / "first" / "manifest.json").read_text()

    def fail(inputs, config, out):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(force=True)(replace(DOUBLE, work=fail), {"events": events}, Doubling())
    assert names(first.folder) == ["stage.json", "table.parquet"]
    assert (tmp_path / "runs" / "first" / "manifest.json").read_text() == before


def test_a_stage_that_resumes_finds_what_was_left(start, events, tmp_path):
    found = []

    def piecewise(inputs, config, out):
        found.append(names(out))
        (out / f"piece-{len(found)}").write_text("x")
        if len(found) < 3:
            raise KeyboardInterrupt

    stage = Stage("pieces", piecewise, (), resumes=True)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            start()(stage, {"events": events}, Doubling())
    done = start()(stage, {"events": events}, Doubling())
    assert found == [[], ["piece-1"], ["piece-1", "piece-2"]]
    assert names(done.folder) == ["piece-1", "piece-2", "piece-3", "stage.json"]
    assert names(tmp_path / "work" / "pieces") == [done.folder.name]
    start(force=True)(stage, {"events": events}, Doubling())
    assert found[3] == []  # what is forced begins anew


def test_an_output_without_its_record_is_made_anew(start, events):
    first, _ = whole(start(), events)
    (first.folder / "stage.json").unlink()
    again, _ = whole(start(), events)
    assert not again.skipped
    assert (again.folder / "stage.json").is_file()


def test_the_run_folder_links_and_the_manifest_gathers(start, events, tmp_path):
    runner = start()
    doubled, _ = whole(runner, events)
    runner(DOUBLE, {"events": events}, Doubling(5), label="double.five")
    runner.note(data={"hash": "abc"}, windows=("fit", "rank"))
    run_dir = tmp_path / "runs" / "first"
    assert names(run_dir / "stages") == ["double", "double.five", "total"]
    assert (run_dir / "stages" / "double").resolve() == doubled.folder
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert manifest["data"] == {"hash": "abc"}
    assert manifest["windows"] == ["fit", "rank"]
    assert manifest["saw"] == {"doubler": "fit"}
    assert list(manifest["stages"]) == ["double", "double.five", "total"]
    assert manifest["stages"]["double.five"]["config"] == {"factor": 5}
    runner.publish(doubled.folder / "table.parquet", "predictions.parquet")
    assert pl.read_parquet(run_dir / "predictions.parquet")["x"].to_list() == [2, 4, 6]


def test_a_killed_run_goes_on_at_the_first_unfinished_stage(events, tmp_path, start, lines):
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal, sys
            from pathlib import Path
            from recsys.pipelines.runner import Runner, Stage

            def first(inputs, config, out):
                (out / "a").write_text("1")

            def second(inputs, config, out):
                (out / "half").write_text("half")
                if sys.argv[2] == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)

            runner = Runner(Path(sys.argv[1]) / "work", Path(sys.argv[1]) / "runs")
            done = runner(Stage("first", first, ()), {}, None)
            runner(Stage("second", second, ()), {"first": done}, None)
            """
        )
    )

    def go(how):
        return subprocess.run(
            [sys.executable, str(script), str(tmp_path), how], capture_output=True, text=True, check=False
        )

    assert go("kill").returncode == -9
    second = tmp_path / "work" / "second"
    assert [name.startswith(".tmp-") for name in names(second)] == [True]
    # What another configuration left half done goes as well; what is being worked on does not.
    (second / ".tmp-0123456789abcdef").mkdir()
    done = go("live")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("first: unchanged, skipped\nsecond ")
    (folder,) = second.iterdir()
    assert names(folder) == ["half", "stage.json"]


def test_two_processes_do_the_work_once(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            from recsys.pipelines.runner import Runner, Stage

            def slow(inputs, config, out):
                with open(Path(sys.argv[1]) / "worked", "a") as stream:
                    stream.write("x")
                time.sleep(1.0)

            runner = Runner(Path(sys.argv[1]) / "work", Path(sys.argv[1]) / sys.argv[2])
            runner(Stage("slow", slow, ()), {}, None)
            """
        )
    )
    both = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    texts = [process.communicate(timeout=600)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert (tmp_path / "worked").read_text() == "x"
    assert sum("unchanged, skipped" in text for text in texts) == 1


class Listening(NullRun):
    """Keeps what the runner tells the tracker."""

    def __init__(self):
        self.said = {}

    @contextmanager
    def child(self, name, seconds=0.0):
        child = Listening()
        self.said[name] = child.said
        yield child

    def tags(self, values):
        self.said["tags"] = dict(values)

    def params(self, values):
        self.said["params"] = dict(values)

    def metrics(self, values, step=0):
        self.said.setdefault("metrics", {}).update({(name, step): value for name, value in values.items()})

    def artifact(self, path, folder=""):
        self.said.setdefault("artifacts", []).append(Path(path).name)


def test_the_tracker_gets_a_child_a_stage_skipped_or_not(start, events):
    for run, skipped in (("first", "false"), ("second", "true")):
        listening = Listening()
        whole(start(run, run=listening), events)
        assert set(listening.said) == {"double", "total"}
        heard = listening.said["double"]
        assert heard["tags"]["skipped"] == skipped
        assert heard["params"] == {"factor": 2}
        assert heard["metrics"]["loss@1", 3] == 0.5
        assert heard["metrics"]["rows/table", 0] == 3
        assert heard["artifacts"] == ["table.parquet"]


def test_relative_places_hold_when_a_stage_changes_folder(tmp_path, monkeypatch, events):
    monkeypatch.chdir(tmp_path)
    runner = Runner(Path("work"), Path("run"), say=lambda line: None)

    def wander(inputs, config, out):
        (out / "a").write_text("1")
        os.chdir("/")

    runner(Stage("wander", wander, ()), {}, None)
    assert (tmp_path / "run" / "manifest.json").is_file()
