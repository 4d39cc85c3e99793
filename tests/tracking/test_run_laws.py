"""Names and settings for any input, and what is written of a run that holds little or breaks off."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import ConfigError
from recsys.tracking.run import NULL_RUN, NullRun, TrackingConfig, clean, flatten, open_run, store_uri

WORDS = st.text(st.characters(codec="utf-8"), max_size=12)
LEAVES = st.none() | st.booleans() | st.integers() | WORDS | st.lists(st.integers(), max_size=3)
NESTED = st.dictionaries(
    WORDS, st.recursive(LEAVES, lambda inner: st.dictionaries(WORDS, inner, max_size=3)), max_size=4
)


@given(WORDS)
def test_a_clean_name_is_clean_already(name: str) -> None:
    assert clean(clean(name)) == clean(name)
    assert not set(clean(name)) & set("@,;()[]{}'\"\\#")


@given(NESTED)
def test_settings_are_words_one_for_each_leaf(values: dict[str, object]) -> None:
    def leaves(value: object) -> int:
        return sum(map(leaves, value.values())) if isinstance(value, dict) and value else 1

    flat = flatten(values)
    assert all(isinstance(value, str) for value in flat.values())
    assert len(flat) <= sum(leaves(value) for value in values.values())


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), LEAVES, max_size=5))
def test_plain_settings_can_be_read_back(values: dict[str, object]) -> None:
    flat = flatten(values)
    assert list(flat) == list(values)
    for name, value in values.items():
        assert (flat[name] if isinstance(value, str) else json.loads(flat[name])) == value


def test_what_json_does_not_know_is_its_text(tmp_path: Path) -> None:
    assert flatten({"folder": tmp_path, "inner": {"odd": {1}}}) == {
        "folder": json.dumps(str(tmp_path)),
        "inner.odd": '"{1}"',
    }


@pytest.mark.parametrize("limit", [0.0, 0.5, 1e9])
def test_limits_from_nothing_upwards_are_taken(limit: float) -> None:
    assert TrackingConfig(copy_limit_mib=limit).copy_limit_mib == limit
    with pytest.raises(ConfigError, match="copy_limit_mib: expected at least 0; found -"):
        TrackingConfig(copy_limit_mib=-limit - 1)


def test_a_relative_and_an_absolute_root_are_one_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_uri("runs") == store_uri(tmp_path / "runs") == store_uri(str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_where_nothing_is_recorded_errors_pass_through(error: type[BaseException], tmp_path: Path) -> None:
    with (
        pytest.raises(error),
        open_run(TrackingConfig(kind="none", root=str(tmp_path)), "a", {}) as run,
        run.child("stage"),
    ):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_records_nothing_has_itself_as_child() -> None:
    with NULL_RUN.child("a") as child, child.child("b") as inner:
        assert child is NULL_RUN and inner is NULL_RUN
        assert isinstance(inner, NullRun)
        assert inner.model(lambda: "uri") is None
