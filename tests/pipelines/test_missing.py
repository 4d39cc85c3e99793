"""A single-stage command that lacks an earlier output says which, where, and why it is not there."""

import json

from recsys.core.errors import DataError
from recsys.pipelines.missing import refusal

NOW = {
    "inputs": {"events": "aa", "prepare": "bb"},
    "config": {"select": {"n": 25, "quotas": {}}},
    "code": "c",
    "version": "1",
}


def keep(folder, name, started="2026-01-01", **changes):
    (folder / name).mkdir(parents=True)
    (folder / name / "stage.json").write_text(json.dumps(NOW | {"started": started} | changes))


def message(folder):
    error = refusal("select", "evaluate", NOW, folder, "stage.json")
    assert isinstance(error, DataError)
    return str(error)


def test_nothing_was_made_yet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message(tmp_path / "kept" / "select") == (
        "evaluate: expected the output of the stage before it, select, for these data and settings; found "
        "none in kept/select. Run it first: recsys select, with the same overrides (or recsys run)."
    )


def test_a_place_elsewhere_is_named_in_full(tmp_path):
    assert f"found none in {tmp_path}/kept/select." in message(tmp_path / "kept" / "select")


def test_the_nearest_output_says_what_differs(tmp_path):
    keep(tmp_path, "a", config={"select": {"n": 9, "quotas": {"popular": 2}}}, code="old", started="2026-03")
    keep(tmp_path, "b", config={"select": {"n": 50, "quotas": {}}}, started="2026-01")
    keep(tmp_path, "c", config={"select": {"n": 7, "quotas": {}}}, started="2026-02")
    keep(tmp_path, ".tmp-d", config={"select": {"n": 1, "quotas": {}}}, started="2026-04")
    assert ": the nearest had select.n=7, now 25. Run it first" in message(tmp_path)


def test_other_inputs_and_other_code_are_named(tmp_path):
    keep(tmp_path, "a", inputs={"events": "aa", "prepare": "other"}, code="old")
    said = message(tmp_path)
    assert ": the nearest read another prepare, was made by other code of recsys. Run" in said
    assert "aa" not in said and "other," not in said  # no hashes


def test_many_differences_are_counted(tmp_path):
    keep(tmp_path, "a", config={"select": dict.fromkeys("abcd", 1)})
    assert message(tmp_path).count("now") == 3
    assert "3 more differences" in message(tmp_path)
