"""The command ``recsys score model=...``: any model folder, users of one's choice, again and again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from recsys.cli import main
from recsys.core.errors import ConfigError
from recsys.pipelines.score_settings import load
from recsys.serving.ranker import Ranker
from tests.pipelines.toy_shop import ToyRun


def said(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["score", *words]) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["score", *words]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    return told.err.removeprefix("recsys: ").rstrip()


@pytest.fixture
def model(toy: ToyRun) -> str:
    return f"model={toy.run_dir / 'model'}"


def test_all_users_of_a_model_are_scored_as_by_the_run(
    toy: ToyRun, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    told = json.loads((toy.run_dir / "recommendations" / "manifest.json").read_text())
    users, parts = told["users"], len(told["parts"])
    asked = (model, f"out={out}", *(f"scoring.{key}={value}" for key, value in told["config"].items()))
    lines = said(capsys, *asked)
    assert lines[0].startswith(f"{users} users (all {users}), ")
    assert lines[1:] == [f"partitions: {parts} written, 0 carried over, 0 there already", f"done: {out}"]
    for path in (toy.run_dir / "recommendations").iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()
    assert said(capsys, *asked) == [
        "nothing was left to do",
        lines[0],
        f"partitions: 0 written, 0 carried over, {parts} there already",
        lines[2],
    ]


def test_users_come_from_a_file(
    toy: ToyRun, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Ranker.load(toy.run_dir / "model").bundle.users.decode([3, 1])
    pl.DataFrame({"user_id": [*known, "stranger"]}).write_csv(tmp_path / "users.csv")
    asked = (model, f"out={tmp_path / 'out'}", f"users={tmp_path / 'users.csv'}", "scoring.k=2")
    dry = said(capsys, *asked, "dry_run=true")
    assert dry[:2] == ["due: 3 of 3 users (all 3)", "partitions: 1 to write, 0 to carry over"]
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))
    assert said(capsys, *asked)[0] == "3 users (all 3), 6 rows"
    frame = pl.read_parquet(tmp_path / "out" / "part-*.parquet")
    assert frame["user_id"].unique(maintain_order=True).to_list() == [*known, "stranger"]
    assert said(capsys, *asked, "dry_run=true") == [
        "nothing is left to do: 3 users are scored as of this state"
    ]
    more = said(capsys, *asked, "scoring.moved=2")  # who is due is decided anew; the lists stay
    assert more[:2] == [
        "3 users (kept 3), 6 rows",
        "partitions: 0 written, 1 carried over, 0 there already",
    ]
    assert said(capsys, *asked, "scoring.moved=2", "full=true")[0] == "3 users (all 3), 6 rows"


def test_what_is_wrong_is_said_in_a_line(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = f"out={tmp_path / 'out'}"
    assert refused(capsys, out) == (
        "model: expected the model folder; found nothing. Give one: model=mlruns/runs/<name>/<time>/model."
    )
    assert refused(capsys, model) == (
        "out: expected the folder of recommendations; found nothing. Give one: out=recommendations."
    )
    assert "Did you mean dry_run?" in refused(capsys, model, out, "dryrun=true")
    assert "Did you mean scoring.k?" in refused(capsys, model, out, "scoring.kk=3")
    assert "scoring.max_age_days: expected above 0; found 0.0" in refused(
        capsys, model, out, "scoring.max_age_days=0"
    )
    assert refused(capsys, f"model={tmp_path / 'no'}", out).startswith(f"the model folder {tmp_path / 'no'}")
    assert refused(capsys, model, out, "users=nobody.csv").startswith("users nobody.csv: expected parquet or")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dry", ["dry_run=true", "dry_run=false"])
def test_a_folder_with_other_things_in_it_is_left_alone(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], dry: str
) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    assert refused(capsys, model, f"out={out}", dry) == (
        f"the output {out}: expected a folder of recommendations, which is replaced as a whole, or none yet; "
        "found other things in its place, such as thesis.tex. Name a folder of its own."
    )
    assert (out / "thesis.tex").read_text() == "years of work"


def test_cfg_prints_the_settings_of_a_model_folder(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "model=m", "out=o", "scoring.k=3", "--cfg")
    assert told[:5] == ["model: m", "out: o", "users: null", "full: false", "dry_run: false"]
    assert "  k: 3" in told and not [line for line in told if line.startswith("encoder")]


def test_settings_are_checked() -> None:
    config = load(["model=m", "out=o", "users=u", "scoring.workers=3"])
    assert (config.model, config.users, config.scoring.workers, config.full) == ("m", "u", 3, False)
    with pytest.raises(ConfigError, match="scoring.workers: expected at least 0; found -1"):
        load(["model=m", "out=o", "scoring.workers=-1"])


def test_it_needs_no_training_library() -> None:
    code = (
        "import sys, recsys.pipelines.score_model\n"
        "heavy = {'torch', 'lightgbm', 'mlflow', 'transformers', 'pandas'}\n"
        "assert not heavy & {name.partition('.')[0] for name in sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_bytes_and_leaves_no_worker(
    toy: ToyRun, model: str, tmp_path: Path
) -> None:
    def command(out: Path) -> list[str]:
        words = ["score", model, f"out={out}", "scoring.partition_size=1", "scoring.workers=2"]
        return [sys.executable, "-m", "recsys", *words]

    straight, out = tmp_path / "straight", tmp_path / "out"
    subprocess.run(command(straight), check=True, capture_output=True)
    running = subprocess.Popen(command(out), stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob(".out-*/part-*")) and running.poll() is None:
        time.sleep(0.01)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.send_signal(signal.SIGKILL)
    running.wait()
    told = subprocess.run(command(out), check=True, capture_output=True, text=True).stdout
    assert " 0 there already" not in told
    for path in straight.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()
    assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]
