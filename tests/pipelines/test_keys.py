"""Hashes of files, settings and code: what changes them and what does not."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from recsys.core.errors import ConfigError, DataError
from recsys.pipelines import keys


@dataclass(frozen=True)
class Part:
    words: tuple[str, ...]
    rate: float = 1.0


@dataclass(frozen=True)
class Whole:
    part: Part
    place: Path
    table: dict[str, int]


def test_canonical_text_has_one_form():
    whole = Whole(Part(("b", "a")), Path("x/y"), {"z": 1, "a": 2})
    assert keys.canonical(whole) == (
        '{"part":{"rate":1.0,"words":["b","a"]},"place":"x/y","table":{"a":2,"z":1}}'
    )
    assert keys.digest({"a": 1, "b": 2}) == keys.digest({"b": 2, "a": 1})
    assert keys.digest(Part(("a", "b"))) != keys.digest(Part(("b", "a")))
    assert keys.canonical({"b", "a"}) == '["a","b"]'


def test_threads_are_no_cause():
    @dataclass(frozen=True)
    class Config:
        depth: int
        threads: int

    assert keys.settings(Config(3, 1)) == keys.settings(Config(3, 8)) == {"depth": 3}
    assert keys.settings(Config(4, 1)) != keys.settings(Config(3, 1))
    several = (Config(3, 1),)  # only the stage's own: LightGBM's may move the last bit of a sum
    assert keys.settings(several) == keys.plain(several)


def test_what_cannot_be_written_down_is_refused():
    with pytest.raises(ConfigError, match="must be writable as JSON"):
        keys.canonical({"a": object()})


def test_a_file_is_known_by_its_content(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"abc")
    two.write_bytes(b"abc")
    assert keys.hash_path(one) == keys.hash_path(two)
    two.write_bytes(b"abd")
    assert keys.hash_path(one) != keys.hash_path(two)


def test_a_folder_is_known_by_names_and_contents(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "a").write_text("1")
        (tmp_path / name / "sub" / "b").write_text("2")
    before = keys.hash_path(tmp_path / "one")
    assert before == keys.hash_path(tmp_path / "two")
    (tmp_path / "two" / "sub" / "b").rename(tmp_path / "two" / "sub" / "c")
    assert before != keys.hash_path(tmp_path / "two")


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DataError, match="absent: expected a file or a folder; found nothing"):
        keys.hash_path(tmp_path / "absent")


def test_code_version_counts_core_and_ignores_order():
    assert keys.code_version(("recsys.tracking",)) == keys.code_version(("recsys.tracking", "recsys.core"))
    assert keys.code_version(("recsys.cli", "recsys.tracking")) == keys.code_version(
        ("recsys.tracking", "recsys.cli")
    )
    assert keys.code_version(("recsys.cli",)) != keys.code_version(("recsys.tracking",))


def test_code_version_follows_the_source(tmp_path, monkeypatch):
    package = tmp_path / "invented_room"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = keys.code_version(("invented_room",))
    keys._source_hash.cache_clear()
    assert keys.code_version(("invented_room",)) == before
    (package / "a.py").write_text("X = 2\n")
    keys._source_hash.cache_clear()
    assert keys.code_version(("invented_room",)) != before


def test_an_unknown_room_is_a_mistake():
    with pytest.raises(ConfigError, match=r"the module recsys\.nowhere"):
        keys.code_version(("recsys.nowhere",))
