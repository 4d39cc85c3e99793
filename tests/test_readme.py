"""The README holds: its table of figures, the commands, links and settings it names, and its snippets."""

import ast
import json
import re
import shlex
from pathlib import Path

import pytest

from recsys.commands import COMMANDS, of_a_model
from recsys.core.errors import DataError
from recsys.pipelines import figures, score_settings
from recsys.pipelines.settings import load

ROOT = Path(__file__).resolve().parent.parent
README, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
PAGES = [README, CHINESE, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
NAMES = [path.name for path in PAGES]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MODEL = "mlruns/runs/shop/first/model"
FIGURE = {
    "name": "calls_per_s",
    "value": 1234567.0,
    "unit": "1/s",
    "against": "a loop",
    "goal": 1000.0,
    "sense": "min",
    "low": 0.5,
    "high": 2000.0,
    "note": "one | core",
    "holds": True,
    "commit": "0123456789ab",
    "machine": "a machine",
}
BENCH = {"bench": "calls", "figures": [FIGURE]}


def blocks(path, language):
    return [body for kind, body in FENCE.findall(path.read_text(encoding="utf-8")) if kind == language]


def commands(path, program):
    """The words of every call of a program in the page's shell blocks and in its text."""
    text = path.read_text(encoding="utf-8")
    lines = [line for body in blocks(path, "bash") for line in body.replace("\\\n", " ").splitlines()]
    lines += re.findall(rf"`({program} [^`\n]+)`", FENCE.sub("", text))
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line and line[0] == program]


def test_the_table_of_figures_is_what_make_figures_writes():
    text = README.read_text(encoding="utf-8")
    assert figures.replace(text, figures.render(figures.read(figures.FOLDER))) == text, "run: make figures"


@pytest.mark.parametrize("page", PAGES[:2], ids=NAMES[:2])
def test_every_command_exists(page):
    found = [words for words in commands(page, "recsys") if not words[0].startswith("-")]
    assert {words[0] for words in found} <= set(COMMANDS)
    assert {"run", "score", "validate"} <= {words[0] for words in found}


def test_the_readme_names_every_command():
    assert {words[0] for words in commands(README, "recsys")} == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_make_target_exists(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {words[0] for words in commands(page, "make")} <= targets


def test_every_override_is_understood():
    asked = {
        (of_a_model(words[0], words[1:]), tuple(word for word in words[1:] if "=" in word))
        for page in (README, CHINESE)
        for words in commands(page, "recsys")
    }
    assert len(asked) > 6
    for of_model, overrides in sorted(asked):
        (score_settings.load if of_model else load)(overrides)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_to_a_file_resolves(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_named_file_of_the_house_exists():
    for page in PAGES:
        named = re.findall(r"`((?:src|conf|pipelines|tests|notebooks)/[\w./-]*)`", page.read_text("utf-8"))
        for path in named:
            assert (ROOT / path).exists(), f"{page.name}: {path}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_page_names_a_place_on_somebodys_machine(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(?:home|work|root|tmp|Users)/", text)
    assert "../" not in text


def test_python_snippets_are_the_same_in_both_languages():
    ours, theirs = (
        [ast.dump(ast.parse(body)) for body in blocks(page, "python")] for page in (README, CHINESE)
    )
    assert ours and [one for one in theirs if one not in ours] == []


@pytest.mark.slow
def test_python_snippets_run(tmp_path, monkeypatch, capsys):
    from tests.pipelines.toy_shop import toy_run

    model = toy_run().run_dir / "model"
    place = tmp_path / MODEL
    place.parent.mkdir(parents=True)
    place.symlink_to(model.resolve())
    monkeypatch.chdir(tmp_path)
    for body in blocks(README, "python"):
        exec(compile(body, "README", "exec"), {})
    said = capsys.readouterr().out
    assert "new-1" in said  # the item that the catalogue does not know was ranked
    assert (tmp_path / "tonight" / "manifest.json").is_file()


def test_a_table_is_made_of_what_a_benchmark_wrote(tmp_path):
    (tmp_path / "calls.json").write_text(json.dumps(BENCH))
    table = figures.render(figures.read(tmp_path))
    assert "`python -m recsys.pipelines.bench_calls --out pipelines/figures/calls.json`" in table
    assert table.splitlines()[-1] == (
        "| `calls_per_s` | 1,234,567 1/s | 0.5 to 2,000 | at least 1,000 | yes "
        "| against a loop; one \\| core | 0123456 |"
    )
    assert "calls.json`, on a machine." in table


def test_a_missed_goal_is_shown_and_a_missing_one_is_left_open():
    missed = {**BENCH, "figures": [{**FIGURE, "sense": "max", "goal": 1.5, "holds": False, "low": None}]}
    assert "|  | at most 1.5 | **no** |" in figures.render([missed])
    printed = {**BENCH, "figures": [{"name": "x", "value": 0.25, "unit": "", "commit": "ab", "machine": "m"}]}
    assert figures.render([printed]).splitlines()[-1] == "| `x` | 0.25 |  |  |  |  | ab |"
    assert figures.render([]) == figures.NONE_YET


@pytest.mark.parametrize(
    "text",
    [
        "no marker",
        figures.BEGIN,
        f"{figures.END}{figures.BEGIN}",
        f"{figures.BEGIN}{figures.END}{figures.END}",
    ],
)
def test_markers_that_do_not_fit_are_refused(text):
    with pytest.raises(DataError, match="Put both markers back"):
        figures.replace(text, "table")


@pytest.mark.parametrize(
    "text", ["no json", "[]", '{"bench": "x"}', '{"bench": "x", "figures": [{"name": "y"}]}']
)
def test_a_file_that_no_benchmark_wrote_is_refused(tmp_path, text):
    (tmp_path / "calls.json").write_text(text)
    with pytest.raises(DataError, match=r"/calls\.json: expected JSON with bench, .*Write it by a benchmark"):
        figures.read(tmp_path)


def test_the_command_writes_once_and_then_leaves_the_page_alone(tmp_path, capsys):
    page = tmp_path / "README.md"
    page.write_text(f"before\n\n{figures.BEGIN}\nstale row\n{figures.END}\n\nafter\n")
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "calls.json").write_text(json.dumps(BENCH))
    assert figures.main(page, folder) == 0
    text = page.read_text()
    assert text.startswith(f"before\n\n{figures.BEGIN}\n\n**calls**") and text.endswith("after\n")
    assert "stale row" not in text
    assert figures.main(page, folder) == 0
    assert page.read_text() == text
    assert capsys.readouterr().out == "README.md: written\nREADME.md: unchanged\n"
    (folder / "calls.json").write_text("[]")
    assert figures.main(page, folder) == 2  # and the page stays as it was
    assert page.read_text() == text
    assert figures.main(tmp_path / "none.md", folder) == 2
    assert "Run this in a checkout" in capsys.readouterr().out
