"""An updated model folder knows what one replay of the whole log would tell it."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import BundleError, DataError
from recsys.interest.score import INTEREST_COLUMNS
from recsys.interest.text import TextTower
from recsys.pipelines.model_update import update
from recsys.pipelines.settings import DataConfig
from recsys.serving.bundle import Bundle
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.serving.ranker import Ranker
from tests.serving.conftest import DIMS, START, trees, write_encoder
from tests.serving.update_world import (
    KNOWN,
    MORE,
    NEW_ITEMS,
    content,
    frame_of,
    known_parts,
    put,
    replayed,
    whole_log,
)

ALL = KNOWN + MORE
GROWS = ("state/", "candidates/", "codes/")


@pytest.fixture(scope="session")
def before(parts: BundleParts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("before") / "model", known_parts(parts))


@pytest.fixture(scope="session")
def after(parts: BundleParts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replayed(parts, tmp_path_factory.mktemp("after") / "model")


@pytest.fixture
def model(before: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(before, tmp_path / "model"))


def test_what_is_known_is_that_of_one_replay_of_the_whole_log(model: Path, after: Path) -> None:
    log = whole_log()
    assert (np.diff(log.time[KNOWN:]) < 0).sum() > 20, "late events"
    done = put(model, frame_of(KNOWN, ALL), NEW_ITEMS)
    assert (done.events, done.users, done.items.new) == (MORE, int(log.user.max()) - 3, 3)
    found, wanted = content(model, *GROWS), content(after, *GROWS)
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    bundle = Bundle.load(model, verify=True)
    assert bundle.state_time == bundle.manifest["state"]["time_us"] == int(log.time.max())
    assert (bundle.manifest["users"], bundle.manifest["items"]) == (len(bundle.users), 13)
    assert bundle.state.position == bundle.manifest["state"]["position"] == ALL
    Ranker.load(model).recommend("u9", 5, at="state")


def test_two_updates_equal_one(model: Path, after: Path) -> None:
    middle = KNOWN + MORE // 2
    put(model, frame_of(KNOWN, middle), NEW_ITEMS.head(2))
    put(model, frame_of(middle, ALL), NEW_ITEMS.tail(1))
    assert content(model, *GROWS) == content(after, *GROWS)


def test_a_folder_of_files_is_applied_in_the_order_of_their_names(model: Path, after: Path) -> None:
    folder = model.parent / "events"
    folder.mkdir()
    for place, start in enumerate(range(KNOWN, ALL, 35)):
        frame_of(start, min(start + 35, ALL)).write_parquet(folder / f"{place}.parquet")
    NEW_ITEMS.write_parquet(model.parent / "items.parquet")
    done = update(model, folder, model.parent / "items.parquet", DataConfig(), 2)
    assert done.events == MORE
    assert content(model, *GROWS) == content(after, *GROWS)
    inputs = json.loads((model / "manifest.json").read_text())["updates"][0]["inputs"]
    assert [one["table"] for one in inputs] == ["items", *["events"] * 4]
    assert inputs[1]["rows"] == 35
    assert inputs[1]["to_us"] == int(whole_log().time[KNOWN : KNOWN + 35].max())


def test_the_same_files_again_change_nothing(model: Path) -> None:
    put(model, frame_of(KNOWN, ALL), NEW_ITEMS)
    both = content(model), content(model.with_name("model.previous"))
    done = put(model, frame_of(KNOWN, ALL), NEW_ITEMS)
    assert not done.changed and (done.repeated, done.events) == (1, 0)
    assert (content(model), content(model.with_name("model.previous"))) == both
    assert len(json.loads((model / "manifest.json").read_text())["updates"]) == 1


def test_a_ranker_that_observes_the_same_events_ends_in_the_same_state(model: Path, tmp_path: Path) -> None:
    events = frame_of(KNOWN, ALL).filter(pl.col("item_id").str.starts_with("i"))
    ranker = Ranker.load(model)
    for row in events.iter_rows(named=True):
        ranker.observe([row])
    ranker.bundle.state.save(tmp_path / "observed")
    put(model, events)
    assert content(model / "state") == content(tmp_path / "observed")


def test_repeated_and_unusable_events_are_told(model: Path) -> None:
    events = frame_of(KNOWN, KNOWN + 6).with_columns(
        item_id=pl.Series(["i1", "i2", "nobody knows", "i3", None, "i4"]),
        event_id=pl.Series(["a", "a", "b", "c", "d", "e"]),
    )
    done = put(model, events)
    assert done.events == 3 and done.known.state.position == KNOWN + 3
    ledger = json.loads((model / "manifest.json").read_text())["updates"][0]["ledger"]
    dropped = {line["rule"]: line["dropped"] for line in ledger}
    assert dropped == {"nulls": 1, "repeated_event_id": 1, "unknown_items": 1, "exact_duplicates": 0}


class Tower:
    """A text's vector is its bytes, and does not depend on the others."""

    encoded = 0

    def encode(self, texts: Sequence[str]) -> tuple[Any, Any]:
        Tower.encoded += len(texts)
        rows = [np.frombuffer(text.encode()[:DIMS].ljust(DIMS), np.uint8) for text in texts]
        tuned = np.array(rows, np.float32) / 300
        return -tuned, tuned


@pytest.fixture
def encoding(parts: BundleParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder that encodes texts, whose trees read what a text and attributes say alone."""
    monkeypatch.setattr(TextTower, "load", lambda folder, threads: Tower())
    monkeypatch.setattr(Tower, "encoded", 0)
    columns = (*INTEREST_COLUMNS, *parts.item_attributes.names)
    changed = {"encoder": write_encoder(tmp_path / "e", "static"), "columns": columns}
    return write_bundle(tmp_path / "model", known_parts(parts, **changed, trees=trees(columns)))


def test_a_new_item_ranks_as_it_would_described_on_the_spot(encoding: Path) -> None:
    described = NEW_ITEMS.to_dicts()
    ids = ["i1", "n0", "i2", "n1", "n2"]
    spot = Ranker.load(encoding).rank("u1", ids, items=described, at="state")
    done = put(encoding, None, NEW_ITEMS)
    assert (done.items.new, done.items.encoded, done.items.without_vector, Tower.encoded) == (3, 3, 0, 6)
    stored = Ranker.load(encoding).rank("u1", ids, at="state")
    assert (stored.item_ids, stored.scores.tobytes()) == (spot.item_ids, spot.scores.tobytes())
    assert len(set(spot.scores.tolist())) > 3
    assert "n0" in Ranker.load(encoding).recommend("u1", 13, at="state").item_ids


def test_an_item_without_text_has_no_vector(encoding: Path) -> None:
    done = put(encoding, None, NEW_ITEMS.with_columns(title=pl.lit(None, pl.String), brand=pl.lit("")))
    assert (done.items.encoded, done.items.without_vector) == (0, 3)
    vectors = Bundle.load(encoding).vectors
    assert vectors is not None and np.isnan(vectors.tuned[10:]).all() and np.isnan(vectors.raw[10:]).all()


def test_a_bundle_that_cannot_encode_says_so(model: Path) -> None:
    done = put(model, None, NEW_ITEMS)
    assert (done.items.encoded, done.items.without_vector) == (0, 3)
    Ranker.load(model).recommend("u1", 13, at="state")


KNOWN_ITEMS = pl.DataFrame(
    {
        "item_id": [f"i{i}" for i in range(10)],
        "title": [f"T{i}" for i in range(10)],
        "brand": [f"b{i % 3}" for i in range(10)],
        "category": [f"c{i % 3}" for i in range(10)],
        "price": [5.0] * 10,
    }
)


def test_known_items_described_otherwise_are_written_anew(encoding: Path) -> None:
    put(encoding, None, KNOWN_ITEMS)  # i9 was sold out; a column that is not there says nothing
    assert not encoding.with_name("model.previous").exists()
    old = Bundle.load(encoding)
    other = KNOWN_ITEMS.with_columns(
        title=pl.when(pl.col("item_id") == "i3").then(pl.lit("Oak")).otherwise("title"),
        price=pl.when(pl.col("item_id") == "i4").then(9.0).otherwise("price"),
        category=pl.when(pl.col("item_id") == "i5").then(pl.lit("c0")).otherwise("category"),
        pages=pl.Series(old.item_attributes.values[:, 0] + 2 * (np.arange(10) == 6)),
    )
    done = put(encoding, None, other)
    assert (done.items.new, done.items.changed, done.items.encoded) == (0, 3, 1)
    assert done.items.kept_groups == 1
    new = Bundle.load(encoding, verify=True)
    assert new.vectors is not None and old.vectors is not None
    assert np.flatnonzero((new.vectors.tuned != old.vectors.tuned).any(axis=1)).tolist() == [3]
    assert np.flatnonzero(new.state.items.price != old.state.items.price).tolist() == [4]
    assert new.state.items.category.tobytes() == old.state.items.category.tobytes()
    pages = (new.item_attributes.values != old.item_attributes.values)[:, 0]
    assert np.flatnonzero(pages).tolist() == [6]
    assert not put(encoding, None, other).changed


def test_texts_that_cannot_be_encoded_keep_their_vectors(model: Path) -> None:
    done = put(model, None, KNOWN_ITEMS.with_columns(title=pl.lit("other")))
    assert (done.changed, done.items.kept_texts) == (False, 10)


def test_what_the_folder_learned_is_linked_and_never_written_through(model: Path) -> None:
    old = content(model)

    def inodes(name: str) -> list[int]:
        return [path.stat().st_ino for path in sorted((model / name).iterdir())]

    learned, vectors = inodes("ranker"), inodes("vectors")
    put(model, frame_of(KNOWN, KNOWN + 40).filter(pl.col("item_id").str.starts_with("i")))
    assert content(model.with_name("model.previous")) == old
    assert (inodes("ranker"), inodes("vectors")) == (learned, vectors)
    old = content(model)
    put(model, frame_of(KNOWN, ALL), NEW_ITEMS)
    assert content(model.with_name("model.previous")) == old
    assert inodes("ranker") == learned and not set(inodes("vectors")) & set(vectors)
    Bundle.load(model, verify=True)


def test_who_has_the_old_folder_open_goes_on(model: Path) -> None:
    ranker = Ranker.load(model)
    answer = ranker.recommend("u1", 5, at="state")
    put(model, frame_of(KNOWN, ALL), NEW_ITEMS)
    put(model, frame_of(KNOWN, KNOWN + 3))  # the folder that it has open is gone by now
    again = ranker.recommend("u1", 5, at="state")
    assert (again.item_ids, again.scores.tobytes()) == (answer.item_ids, answer.scores.tobytes())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"drop": "user_id"}, r"table events, column user_id: expected the column to be there"),
        ({"event_type": pl.lit("view")}, r"column event_type: expected one of .*; found 'view'"),
        ({"value": pl.lit("much")}, r"table events, column value: expected finite numbers"),
        ({"timestamp": pl.lit(3)}, r"column timestamp: expected timestamps; found numbers"),
        ({"item_id": pl.lit("x")}, r"expected items of the catalogue; found no known item in 140 events"),
        (
            {"timestamp": pl.lit("2099-01-01T00:00Z")},
            r"expected times no later than .*found 2099-01-01",
        ),
    ],
)
def test_events_that_cannot_be_used_leave_the_folder(model: Path, change: dict[str, Any], error: str) -> None:
    events, old = frame_of(KNOWN, ALL), content(model)
    drop = change.pop("drop", None)
    with pytest.raises(DataError, match=error):
        put(model, events.drop(drop) if drop else events.with_columns(**change))
    assert content(model) == old
    assert sorted(path.name for path in model.parent.iterdir()) == ["events.parquet", "model"]


def test_items_that_cannot_be_used_leave_the_folder(model: Path) -> None:
    old = content(model)
    with pytest.raises(DataError, match=r"column pages: expected a finite number .*found 'many'"):
        put(model, None, NEW_ITEMS.with_columns(pages=pl.lit("many")))
    with pytest.raises(DataError, match=r"table items, column title: expected the column to be there"):
        put(model, None, NEW_ITEMS.drop("title"))
    with pytest.raises(DataError, match=r"key item_id: expected one row for each key; found 3 repeated"):
        put(model, None, pl.concat([NEW_ITEMS, NEW_ITEMS]))
    assert content(model) == old


def test_columns_are_mapped_as_prepare_maps_them(model: Path, after: Path) -> None:
    events = frame_of(KNOWN, ALL).rename({"user_id": "customer"})
    words = pl.col("event_type").replace({"click": "view"})
    told = {"columns": {"events": {"user_id": "customer"}}, "event_types": {"view": "click"}}
    assert put(model, events.with_columns(words), NEW_ITEMS, **told).events == MORE
    assert content(model, *GROWS) == content(after, *GROWS)


def test_counts_of_other_code_are_refused(model: Path) -> None:
    path = model / "candidates" / "popularity" / "manifest.json"
    told = json.loads(path.read_text())
    told["families"]["counts_item"]["version"] = 99
    path.write_text(json.dumps(told, indent=1) + "\n")
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["files"]["candidates/popularity/manifest.json"]["bytes"] = path.stat().st_size
    (model / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"family counts_item .*expected version 1.*found version 99"):
        put(model, frame_of(KNOWN, ALL))


def test_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected a file manifest\.json; found no such folder"):
        put(tmp_path / "nowhere", frame_of(0, 5))


def test_the_world_is_as_the_model_was(before: Path) -> None:
    assert Bundle.load(before).state_time == START + 60_000_000 * (KNOWN - 1)
