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
        "the state in FOLDER: expected manifest.json; found no such file. Give the folder that `save` wrote."
    )


def test_another_format(folder: Path) -> None:
    told = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**told, "format": 99}))
    assert "expected format 1; found 99. Replay the log with this version of recsys." in refused(folder)


def test_an_array_missing(folder: Path) -> None:
    (folder / "price_user.sums.npy").unlink()
    assert "expected every array of its manifest; found price_user.sums.npy missing" in refused(folder)


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
