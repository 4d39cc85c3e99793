"""The help: a screen for each command, whose settings exist and which names what there is."""

import dataclasses

import pytest

from recsys import commands
from recsys.commands import COMMANDS, OF_MODEL, config_groups, help_of, overview
from recsys.pipelines.path import STAGES
from recsys.pipelines.score_settings import ScoreConfig
from recsys.pipelines.settings import RunConfig
from recsys.pipelines.typed import has_field
from recsys.setting_words import SETTINGS

SCREEN = 50  # lines
LIGHT = ("update", "rollback")  # commands that the base install runs


def test_the_overview_lists_commands_options_groups_and_exit_codes():
    text = overview()
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert all(f"\n  {option} " in text for option in ("--help", "--cfg", "--debug", "--version"))
    assert "\n  tracking    mlflow, none\n" in text
    assert "\n  2    something that you can mend" in text
    assert len(text.splitlines()) <= SCREEN


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_a_command_is_one_screen_and_says_what_is_needed(name):
    text = help_of(name)
    assert text.startswith(f"recsys {name}: {COMMANDS[name].words}\n\nusage: recsys {name} [key=value ...]")
    assert len(text.splitlines()) <= SCREEN
    assert max(map(len, text.splitlines())) <= 110
    assert ("pip install recsys (no torch)" if name in LIGHT else "pip install 'recsys[train") in text
    assert all(f"\n  {code} " in text for code in (0, 1, 2, 130))
    assert "--cfg    print every setting" in text and "--debug" in text
    assert all(f"\n  {key} " in text for key in COMMANDS[name].settings)


def test_the_help_of_run_names_what_people_change_and_where_it_lands():
    text = help_of("run")
    for key in ("data.dir", "paths.run_dir", "evaluation.read_test", "trainer.max_epochs"):
        assert f"\n  {key} " in text
    assert "report.html, recommendations/, model/" in text
    assert "goes on in the same run folder" in text
    assert "\n  encoder     adapter, auto, full, lora, small, static, top\n" in text
    assert "candidates, evaluation, features, ranker, scoring, split, trainer" in text


def test_the_help_of_a_stage_shows_its_own_groups_alone():
    text = help_of("train-encoder")
    assert "\n  encoder     adapter, auto, full, lora, small, static, top\n" in text
    assert "data        files" not in text
    assert "one that is missing is named" in text
    assert "before" not in help_of("validate")


def test_every_setting_of_the_help_exists_and_every_one_is_shown():
    top = {field.name for field in dataclasses.fields(RunConfig)}
    for key in SETTINGS:
        assert key in top or has_field(RunConfig, key.split(".")) or key in OF_MODEL, key
    assert [field.name for field in dataclasses.fields(ScoreConfig)] == [*OF_MODEL, "scoring"]
    assert {key for command in COMMANDS.values() for key in command.settings} == set(SETTINGS)


def test_every_stage_and_group_is_known():
    assert [name for name, command in COMMANDS.items() if command.stage] == [one.name for one in STAGES]
    named = {group for command in COMMANDS.values() for group in command.groups}
    assert named <= set(config_groups())


def test_groups_come_from_the_packaged_files(tmp_path):
    groups = config_groups()
    assert groups["tracking"] == ("mlflow", "none")
    assert all(options == tuple(sorted(options)) for options in groups.values())
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for file in ("b/two.yaml", "b/one.yaml", "b/c/x.yaml", ".hidden/y.yaml", "top.yaml"):
        (tmp_path / file).write_text("")
    assert config_groups(tmp_path) == {"b": ("one", "two"), "b/c": ("x",)}


def test_a_command_without_groups_shows_none(monkeypatch):
    monkeypatch.setattr(commands, "config_groups", dict)
    assert "config groups" not in help_of("run")
