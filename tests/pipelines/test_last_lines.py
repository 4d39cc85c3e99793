"""What a command says at the end, and what its run folder's report says of its stages."""

import importlib.util
import re
import sys

import pytest

from recsys.cli import main
from recsys.pipelines.path import STAGES
from tests.pipelines.toy_shop import MEASURED

NAMES = [stage.name for stage in STAGES]


def test_the_verdict_and_the_models_are_printed(toy):
    page = (toy.run_dir / "report.html").read_text()
    verdict = next(line for line in toy.said if " on test: NDCG@10" in line)
    assert f">{verdict}<" in page
    start = toy.said.index(verdict)
    assert toy.said[start + 1].split("  ")[-1].strip() == "AUC"
    table = toy.said[start + 2 : start + 2 + len(MEASURED)]
    assert {line.split()[0] for line in table} == MEASURED


def test_the_report_shows_what_every_stage_took_and_which_were_there_before(toy):
    def times(folder):
        page = (folder / "report.html").read_text()
        section = page.partition("<!-- stages -->")[2].partition("<!-- /stages -->")[0]
        row = r"<tr><td>([\w-]+)</td><td>[\d.]+</td><td>[\d,]+</td><td>(yes|no)</td>"
        return dict(re.findall(row, section))

    assert times(toy.run_dir) == dict.fromkeys(NAMES, "no")
    toy.again(toy.root / "timed", "scoring.k=4")
    assert times(toy.root / "timed") == dict.fromkeys(NAMES, "yes") | {"score": "no"}


def test_the_commands_that_leave_something_say_so_in_the_last_lines(toy, capsys):
    leave = {
        "evaluate": {"report": "report.html"},
        "bundle": {"model": "model"},
        "score": {"recommendations": "recommendations", "model": "model"},
    }
    for command, left in leave.items():
        folder = f"{toy.root}/last-{command}"
        assert main([command, *toy.overrides, f"paths.run_dir={folder}"]) == 0
        assert capsys.readouterr().out.splitlines()[-1 - len(left) :] == [
            *(f"{name}: {folder}/{file}" for name, file in left.items()),
            f"done: {folder} holds {', '.join(left)}",
        ]


def test_a_command_given_again_without_a_folder_finds_its_own(toy, capsys):
    assert main(["score", *toy.overrides]) == 0
    first = capsys.readouterr().out.splitlines()[-1]
    for command in ("score", "evaluate", "run"):
        assert main([command, *toy.overrides]) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith(first.partition(" holds")[0])
    assert len(list((toy.root / "runs" / "shop").iterdir())) == 1


@pytest.mark.parametrize("choice", ["tracking=none", "tracking=mlflow"])
def test_a_run_needs_no_mlflow(toy, tmp_path, capsys, monkeypatch, choice):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "recsys.serving.pyfunc", raising=False)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else find(name))
    assert main(["run", *toy.overrides, choice, f"paths.run_dir={tmp_path}/run"]) == 0
    said = capsys.readouterr()
    assert said.err.count("mlflow is not installed") == (choice == "tracking=mlflow")
    assert "tracking:" not in said.out
    assert (tmp_path / "run" / "model").is_dir()
