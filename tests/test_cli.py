"""The command line: exit codes, one clear message, and no dependence on pipelines."""

import errno
import subprocess
import sys
from types import ModuleType

import pytest

import recsys
from recsys import cli
from recsys.commands import help_of, overview
from recsys.core.errors import DataError

# what has a module of its own; the rest are parts of run
ALONE = ("run", "validate", "warm", "export-vectors", "compare-encoders", "update", "rollback", "cfg")


@pytest.fixture
def stage(monkeypatch):
    """Stand in for the module behind a command: give it the function that its main shall be."""

    def install(command, main):
        module = ModuleType("stage")
        module.main = main if command in ALONE else lambda overrides, only: main(overrides)
        name = command.replace("-", "_") if command in ALONE else "run"
        monkeypatch.setitem(sys.modules, f"recsys.pipelines.{name}", module)
        return module

    return install


def test_a_command_receives_its_overrides_and_gives_its_exit_code(stage):
    seen = []

    def main(overrides):
        seen.append(overrides)
        return 0

    stage("warm", main)
    assert cli.main(["warm", "data=files", "trainer.max_epochs=2"]) == 0
    assert seen == [["data=files", "trainer.max_epochs=2"]]


@pytest.mark.parametrize("command", [command for command in cli.COMMANDS if command not in ALONE])
def test_a_stage_is_the_path_with_that_stage_alone(stage, command):
    seen = []
    stage("run", lambda overrides, only=None: seen.append((overrides, only)))
    assert cli.main([command, "seed=3"]) == 0
    assert cli.main(["run"]) == 0
    assert seen == [(["seed=3"], command), ([], None)]


def test_a_stage_may_return_nothing_or_a_code(stage):
    stage("prepare", lambda overrides: None)
    stage("validate", lambda overrides: 3)
    assert cli.main(["prepare"]) == 0
    assert cli.main(["validate"]) == 3


def test_an_error_is_one_line_and_code_2(stage, capsys):
    def main(overrides):
        raise DataError("events.parquet", expected="a column user_id", found="user", do="Map it in columns.")

    stage("prepare", main)
    assert cli.main(["prepare"]) == 2
    captured = capsys.readouterr()
    assert captured.err == (
        "recsys: events.parquet: expected a column user_id; found user. Map it in columns.\n"
    )
    assert captured.out == ""


def test_debug_gives_the_traceback(stage):
    def main(overrides):
        assert overrides == []  # the switch itself does not reach the stage
        raise DataError("a", expected="b", found="c", do="d")

    stage("prepare", main)
    with pytest.raises(DataError, match="a: expected b; found c. d"):
        cli.main(["prepare", "--debug"])


def test_a_disk_that_refuses_is_one_line_and_code_2(stage, capsys):
    def main(overrides):
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/runs")

    stage("prepare", main)
    assert cli.main(["prepare"]) == 2
    assert capsys.readouterr().err.startswith("recsys: /srv/runs: Permission denied; ")
    with pytest.raises(PermissionError):
        cli.main(["prepare", "--debug"])


def test_a_file_that_we_forgot_to_write_is_a_defect(stage):
    def main(overrides):
        raise FileNotFoundError(errno.ENOENT, "No such file", "x")

    stage("prepare", main)
    with pytest.raises(FileNotFoundError):
        cli.main(["prepare"])


def test_a_defect_of_ours_keeps_its_traceback(stage):
    def main(overrides):
        raise ZeroDivisionError("ours")

    stage("prepare", main)
    with pytest.raises(ZeroDivisionError, match="ours"):
        cli.main(["prepare"])


def test_an_interrupt_says_how_to_go_on(stage, capsys):
    def main(overrides):
        raise KeyboardInterrupt

    stage("run", main)
    assert cli.main(["run"]) == 130
    assert "goes on where this one stopped" in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        cli.main(["run", "--debug"])


@pytest.mark.parametrize(
    ("library", "extra"), [("torch", "train"), ("ray", "ray"), ("fastapi", "serve"), ("lightgbm", "train")]
)
def test_a_missing_library_names_its_extra(stage, capsys, library, extra):
    def main(overrides):
        raise ModuleNotFoundError(f"No module named '{library}.sub'", name=f"{library}.sub")

    stage("run", main)
    assert cli.main(["run"]) == 2
    assert f"pip install 'recsys[{extra}]'" in capsys.readouterr().err


def test_a_missing_module_of_our_own_is_a_defect(stage):
    def main(overrides):
        raise ModuleNotFoundError("No module named 'recsys.gone'", name="recsys.gone")

    stage("run", main)
    with pytest.raises(ModuleNotFoundError, match=r"recsys\.gone"):
        cli.main(["run"])


def test_an_unknown_command_suggests_the_nearest(capsys):
    assert cli.main(["evalute"]) == 2
    assert "Did you mean recsys evaluate?" in capsys.readouterr().err
    assert cli.main(["xyz"]) == 2
    message = capsys.readouterr().err
    assert "train-ranker" in message
    assert "recsys --help says what each does" in message


def test_an_unknown_option_is_refused_before_any_work(stage, capsys):
    stage("run", lambda overrides: pytest.fail("the stage ran"))
    assert cli.main(["run", "--epochs", "3"]) == 2
    assert "the option '--epochs'" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_says_what_there_is(capsys, words):
    assert cli.main(words) == 0
    assert capsys.readouterr().out == f"{overview()}\n"


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_help_of_a_command_does_no_work(capsys, stage, command):
    stage(command, lambda overrides: pytest.fail("the stage ran"))
    for words in ([command, "--help"], [command, "seed=3", "-h"], ["help", command]):
        assert cli.main(words) == 0
        assert capsys.readouterr().out == f"{help_of(command)}\n"


def test_help_of_no_command_suggests_one(capsys):
    assert cli.main(["help", "scor"]) == 2
    assert "Did you mean recsys score?" in capsys.readouterr().err


def test_help_needs_no_hydra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "hydra", None)
    assert cli.main(["run", "--help"]) == 0


@pytest.mark.parametrize("command", ["run", "score", "validate"])
def test_cfg_prints_the_settings_instead_of_working(stage, command):
    seen = []
    stage(command, lambda overrides: pytest.fail("the stage ran"))
    stage("cfg", seen.append)
    assert cli.main([command, "seed=3", "--cfg", "k=1"]) == 0
    assert seen == [["seed=3", "k=1"]]


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"recsys {recsys.__version__}\n"


def test_the_installed_script_ends_with_the_code():
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from recsys.cli import main; sys.exit(main())", "nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("recsys: the command 'nothing'")
    assert "Traceback" not in done.stderr


def test_the_command_line_imports_no_pipeline_and_no_hydra():
    code = (
        "import sys, recsys.cli\n"
        "assert not [m for m in sys.modules if m.startswith(('recsys.pipelines', 'hydra', 'polars'))]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
