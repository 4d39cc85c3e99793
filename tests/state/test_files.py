"""States on disk that cannot be used are refused in one clear message."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.state.counts import Counts
from recsys.state.family import Feature
from recsys.state.files import MANIFEST, config_of, fingerprint, read_manifest
from recsys.state.store import State
from tests.state.worlds import EVERYTHING, USERS, items_of, log_of, new_state, observe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    state = new_state()
    observe(state, log_of(1, 40), 0, 40)
    state.save(tmp_path)
    return tmp_path


def refused(folder: Path, *args: object) -> str:
    with pytest.raises(BundleError) as caught:
        State.load(folder, *args)  # type: ignore[arg-type]
    return str(caught.value).replace(str(folder), "FOLDER")


def test_nothing_there(tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        "FOLDER/manifest.json: expected a JSON object; found no such file. "
        "Replay the log, or copy the whole folder again."
    )


@pytest.mark.parametrize("content", ["", "[]", "{", "null"])
def test_a_broken_manifest(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    assert refused(folder).startswith("FOLDER/manifest.json: expected a JSON object; found ")


def change(folder: Path, **values: object) -> None:
    told = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**told, **values}))


@pytest.mark.parametrize("key", ["clock", "position", "users", "config", "families"])
def test_a_manifest_that_lacks_a_key_or_holds_another_type(folder: Path, key: str) -> None:
    told = json.loads((folder / MANIFEST).read_text())
    change(folder, **{key: "word"})
    assert f"under '{key}'; found 'word'. Replay the log" in refused(folder)
    (folder / MANIFEST).write_text(json.dumps({name: told[name] for name in told if name != key}))
    assert f"under '{key}'; found only" in refused(folder)


def test_a_config_of_another_version(folder: Path) -> None:
    told = json.loads((folder / MANIFEST).read_text())["config"]
    change(folder, config={**told, "shelves": 3})
    assert "expected the feature rows and sizes of a state under 'config'; found " in refused(folder)
    change(folder, config={**told, "rows": {"item_x": {"stat": "count"}}})
    assert "expected the feature rows and sizes of a state under 'config'; found " in refused(folder)
    change(folder, config={**told, "rows": []})
    assert "expected the feature rows and sizes of a state under 'config'; found " in refused(folder)


def test_families_that_say_too_little(folder: Path) -> None:
    told = json.loads((folder / MANIFEST).read_text())["families"]
    name = next(iter(told))
    change(folder, families={**told, name: []})
    assert f"expected an object for family {name}" in refused(folder)
    change(folder, families={**told, name: {"parameters": "", "columns": []}})
    assert "expected a list under 'arrays'; found only parameters, columns" in refused(folder)


@pytest.mark.parametrize("wrong", ["fewer", "dtype", "flat", "junk"])
def test_arrays_of_another_layout(folder: Path, wrong: str) -> None:
    """Compiled code would take them as they are, and read beyond their ends."""
    for path in sorted(folder.glob("*.npy")):
        whole = path.read_bytes()
        array = np.load(path)
        if wrong == "fewer" and not len(array):
            continue
        if wrong == "junk":
            path.write_bytes(b"junk")
        else:
            changed = {"fewer": array[:-1], "dtype": array.astype(complex), "flat": array.ravel()[None, None]}
            np.save(path, changed[wrong])
        family = path.name.partition(".")[0]
        assert f"FOLDER/{family}." in refused(folder) and "npy: expected an array" in refused(folder)
        path.write_bytes(whole)
    assert State.load(folder).position == 40


def test_a_list_of_other_arrays(folder: Path) -> None:
    told = json.loads((folder / MANIFEST).read_text())["families"]
    told["price_user"]["arrays"] = ["sums", "weights"]
    change(folder, families=told)
    assert "expected the arrays sums of family price_user; found sums, weights." in refused(folder)


def test_another_format(folder: Path) -> None:
    told = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**told, "format": 99}))
    assert "expected format 1; found 99. Replay the log with this version of recsys." in refused(folder)


def test_an_array_missing(folder: Path) -> None:
    (folder / "price_user.sums.npy").unlink()
    assert "FOLDER/price_user.sums.npy: expected an array (.npy); found no such file" in refused(folder)


def test_another_version_of_a_family(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counts, "version", 2)
    assert "family counts_item of the state in FOLDER: expected version 2" in refused(folder)
    assert "found version 1, other columns" in refused(folder)


def test_another_config_is_named(folder: Path) -> None:
    rows = dict(EVERYTHING.rows)
    rows["item_age"] = replace(rows["item_age"], meaning="oldness")
    rows["item_new"] = Feature("counts", "item", "count")
    del rows["pair_seen"]
    told = refused(folder, replace(EVERYTHING, rows=rows, past=2))
    assert "found others: past, item_age, pair_seen, item_new." in told.replace(
        "item_age, item_new, pair_seen", "item_age, pair_seen, item_new"
    )
    assert State.load(folder, EVERYTHING).position == 40


def test_the_config_comes_back(folder: Path) -> None:
    saved = config_of(read_manifest(folder))
    assert {name: replace(row, name="") for name, row in saved.rows.items()} == dict(EVERYTHING.rows)
    assert replace(saved, rows={}) == replace(EVERYTHING, rows={})


def test_arrays_are_never_pickled(folder: Path) -> None:
    for path in folder.rglob("*.npy"):
        np.load(path, allow_pickle=False)


def test_a_fingerprint_follows_rows_sizes_and_clock() -> None:
    def of(config: object, clock: bool = True) -> dict[str, str]:
        state = State.new(config, clock, USERS, items_of())  # type: ignore[arg-type]
        return {family.name: fingerprint(family, state.config, clock) for family in state.families}

    base = of(EVERYTHING)
    rows = dict(EVERYTHING.rows)
    rows["pair_clicks"] = replace(rows["pair_clicks"], half_lives=("all", "2d"))
    changed = of(replace(EVERYTHING, rows=rows))
    assert {name for name in base if base[name] != changed[name]} == {"pair_counts_user_item"}
    assert all(a != b for a, b in zip(base.values(), of(EVERYTHING, False).values(), strict=False))
    assert all(a != b for a, b in zip(base.values(), of(replace(EVERYTHING, past=2)).values(), strict=True))
