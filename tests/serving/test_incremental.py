"""Scoring again as of a later state: who is due is scored as in a full run, all others' rows stay."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.codes import Codes
from recsys.core.columns import CLICK
from recsys.core.log import OPEN_TO, make_log
from recsys.serving import batch
from recsys.serving.batch import Scored, score_users
from recsys.serving.batch_config import BatchConfig
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.serving.forecast import forecast
from recsys.state.store import State
from tests.serving.conftest import FEATURES, N_USERS, SECOND, event_log, item_table, trees

USERS = ["u0", "u1", "u2", "u3", "stranger"]
CONFIG = BatchConfig(k=3, exclude_seen=False, partition_size=2, workers=1, moved=0.5)
DAY = 86_400 * SECOND
Later = Callable[..., Path]


@pytest.fixture
def later(parts: BundleParts, tmp_path: Path) -> Later:
    """The bundle as of a later state: events of some users, users that came, another popular list."""

    def write(events: list[tuple[int, int]] = (), days: float = 0.0, **changes: Any) -> Path:  # type: ignore[assignment]
        log, time = event_log(), parts.state_time + int(days * DAY) + SECOND * bool(events)
        state = State.new(FEATURES, True, N_USERS, item_table())
        state.advance(log, len(log.time))
        users, items = (np.array([one[i] for one in events], np.int64) for i in (0, 1))
        state.grow(max([N_USERS, *(users + 1).tolist()]), item_table())
        if events:
            state.extend(make_log(users, items, np.full(len(events), time), np.full(len(events), CLICK)))
        ids = [f"u{i}" for i in range(state.n_users)]
        popularity = copy.copy(parts.popularity)
        if told := changes.pop("popular", None):
            popularity.ranked = lambda _: told  # type: ignore[method-assign]
        made = replace(parts, state=state, state_time=time, users=Codes.build(ids), popularity=popularity)
        return write_bundle(tmp_path / "later", replace(made, **changes))

    return write


def rows(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "part-*.parquet")


def of(folder: Path, *users: str) -> pl.DataFrame:
    return rows(folder).filter(pl.col("user_id").is_in(users))


def again(model: Path, out: Path, config: BatchConfig = CONFIG, users: list[str] = USERS) -> Scored:
    return score_users(model, users, out, config, full=False)


@pytest.fixture
def out(folder: Path, tmp_path: Path) -> Path:
    """Recommendations as of the earlier state."""
    done = score_users(folder, USERS, tmp_path / "out", CONFIG)
    assert done.reasons == {"all": 5}
    return done.folder


def test_who_did_something_is_scored_as_in_a_full_run_and_others_stay(
    out: Path, later: Later, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    old, places = rows(out), {path.name: path.stat().st_ino for path in out.iterdir()}
    model = later([(1, 2), (1, 8)])
    done = again(model, out)
    assert done.reasons == {"kept": 4, "events": 1}
    assert (done.written, done.carried, done.skipped, done.users) == (1, 2, 0, 5)
    full = score_users(model, USERS, tmp_path / "full", CONFIG).folder
    assert of(out, "u1").equals(of(full, "u1")) and not of(out, "u1").equals(old.filter(user_id="u1"))
    others = [user for user in USERS if user != "u1"]
    assert of(out, *others).equals(old.filter(pl.col("user_id").is_in(others)))
    assert rows(out)["user_id"].unique(maintain_order=True).to_list() == USERS
    for name in ("part-00001.parquet", "part-00002.parquet"):  # the files themselves
        assert (out / name).read_bytes() == before[name]
        assert (out / name).stat().st_ino == places[name]


def test_the_manifest_says_who_was_scored_why_and_as_of_what(out: Path, later: Later) -> None:
    first = json.loads((out / "manifest.json").read_text())
    done = again(later([(1, 2)]), out)
    told = json.loads((out / "manifest.json").read_text())
    assert told["reasons"] == {"kept": 4, "events": 1} == done.reasons
    assert (told["users"], told["rows"], told["earlier"]) == (5, 15, first["key"])
    assert told["key"] != first["key"] and first["earlier"] is None
    assert told["state"]["position"] == 61
    assert [state["position"] for state in told["states"]] == [61, 60]
    assert told["model_key"] == first["model_key"]
    known = pl.read_ipc(out / "users.arrow")
    assert known["state"].to_list() == [1, 0, 1, 1, 1]
    assert np.load(out / "popularity.npy").shape == (2, 10)


def test_equal_inputs_give_equal_bytes_and_are_not_scored_again(
    folder: Path, later: Later, tmp_path: Path
) -> None:
    model = later([(1, 2), (3, 8)])
    for name in ("one", "other"):
        score_users(folder, USERS, tmp_path / name, CONFIG)
        again(model, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()
    done = again(model, tmp_path / "one")
    assert (done.written, done.carried, done.skipped) == (0, 0, 3)
    assert done.reasons == {"kept": 3, "events": 2}


def test_whose_item_moved_is_scored_again(out: Path, later: Later, parts: BundleParts) -> None:
    codes, scores = parts.popular
    given = rows(out)
    lists = {user: set(given.filter(user_id=user)["item_id"]) for user in USERS}
    hit = next(code for code in range(9) if 0 < sum(f"i{code}" in one for one in lists.values()) < 5)
    share = scores / scores.sum()
    raised = scores.copy()
    raised[codes == hit] *= 3
    moved = np.abs(raised / raised.sum() - share) / (share + 1 / 10)
    assert moved[codes == hit] > np.delete(moved, np.flatnonzero(codes == hit)).max()
    limit = float(moved[codes == hit][0])
    due = [user for user in USERS if f"i{hit}" in lists[user]]
    model = later(popular=(codes, raised))
    below = again(model, out, replace(CONFIG, moved=limit * 0.999))
    assert below.reasons == {"kept": 5 - len(due), "moved": len(due)}


def test_an_item_that_moves_no_further_than_is_allowed_changes_nothing(
    out: Path, later: Later, parts: BundleParts
) -> None:
    codes, scores = parts.popular
    model = later(popular=(codes, scores * np.linspace(1, 1.5, len(scores)).astype(np.float32)))
    assert again(model, out).reasons == {"kept": 5}


def test_small_moves_add_up_over_states(out: Path, later: Later, parts: BundleParts) -> None:
    codes, scores = parts.popular
    given = rows(out)
    item = int(given["item_id"][0][1:])
    config = replace(CONFIG, moved=0.4)
    found = []
    for factor in (1.6, 2.4):  # the share moves by less than .4 each time, by more in sum
        raised = scores.copy()
        raised[codes == item] *= factor
        found.append(again(later(popular=(codes, raised), days=factor / 100), out, config).reasons)
    assert found[0] == {"kept": 5}
    assert found[1].get("moved", 0) == given.filter(item_id=f"i{item}")["user_id"].n_unique()


def test_who_holds_an_item_that_is_gone_is_scored_again(out: Path, later: Later) -> None:
    sold = int(rows(out)["item_id"][0][1:])
    holders = rows(out).filter(item_id=f"i{sold}")["user_id"].n_unique()
    model = later(days=1)
    table = item_table()
    assert table.available_to[sold] == OPEN_TO
    state = State.load(model / "state")
    table.available_to[sold] = event_log().time[-1] + 1
    state.grow(N_USERS, table)
    done = again(later(days=1, state=state), out)
    assert done.reasons["moved"] == holders
    assert f"i{sold}" not in rows(out)["item_id"].to_list()


def test_who_was_scored_long_ago_is_scored_again(out: Path, later: Later) -> None:
    assert again(later(days=7), out).reasons == {"kept": 5}
    assert again(later([(0, 1)], days=7.5), out).reasons == {"events": 1, "old": 4}
    done = again(later([(0, 1)], days=14.6), out)  # a week after the last state, and not after the first
    assert done.reasons == {"old": 5}


def test_age_is_that_of_a_users_own_scoring(out: Path, later: Later) -> None:
    assert again(later([(0, 1)], days=4), out).reasons == {"kept": 4, "events": 1}
    assert again(later([(0, 1)], days=8), out).reasons == {"kept": 1, "old": 4}
    assert len(json.loads((out / "manifest.json").read_text())["states"]) == 2  # the first has nobody left


def test_data_without_a_clock_have_no_age(parts: BundleParts, tmp_path: Path) -> None:
    state = State.new(FEATURES, False, N_USERS, item_table())
    state.advance(event_log(), 60)
    columns = tuple(name for name in parts.columns if name in state.names or name not in parts.state.names)
    made = replace(parts, state=state, columns=columns, trees=trees(columns))

    def bundle(days: int) -> Path:
        return write_bundle(tmp_path / "model", replace(made, state_time=made.state_time + days * DAY))

    score_users(bundle(0), USERS, tmp_path / "out", CONFIG)
    assert again(bundle(100), tmp_path / "out").reasons == {"kept": 5}


def test_who_is_new_is_scored_and_who_is_gone_is_left_out(out: Path, later: Later, tmp_path: Path) -> None:
    old = rows(out)
    model = later([(4, 2)])
    users = ["u4", "u3", "u0", "u1", "another"]
    done = again(model, out, users=users)
    assert done.reasons == {"kept": 3, "new": 2}
    assert rows(out)["user_id"].unique(maintain_order=True).to_list() == users
    for user in ("u0", "u1", "u3"):
        assert of(out, user).equals(old.filter(user_id=user))
    full = score_users(model, users, tmp_path / "full", CONFIG).folder
    assert of(out, "u4", "another").equals(of(full, "u4", "another"))


def test_partitions_of_another_size_are_merged(out: Path, later: Later) -> None:
    old = rows(out)
    done = again(later([(1, 2)]), out, replace(CONFIG, partition_size=3))
    assert done.reasons == {"kept": 4, "events": 1}
    assert of(out, "u0", "u2", "u3", "stranger").equals(old.filter(pl.col("user_id") != "u1"))


@pytest.mark.parametrize(
    "change", [{"k": 4}, {"exclude_seen": True}, {"chances": False}], ids=["k", "seen", "chances"]
)
def test_another_config_scores_everybody(out: Path, later: Later, change: dict[str, Any]) -> None:
    done = again(later([(1, 2)]), out, replace(CONFIG, **change))
    assert done.reasons == {"all": 5} and done.written == 3


def test_another_model_scores_everybody(out: Path, later: Later, parts: BundleParts) -> None:
    other = again(later([(1, 2)], trees=parts.trees.replace("shrinkage=0.1", "shrinkage=0.10")), out)
    assert other.reasons == {"all": 5}
    pinned = replace(parts.rules, pins=("i3",))
    assert again(later([(1, 2)], rules=pinned), out).reasons == {"all": 5}


def test_an_earlier_state_and_full_score_everybody(out: Path, folder: Path, later: Later) -> None:
    model = later([(1, 2)])
    assert again(model, out).reasons == {"kept": 4, "events": 1}
    assert again(folder, out).reasons == {"all": 5}  # a state cannot go back
    assert again(model, out).reasons == {"kept": 4, "events": 1}
    assert score_users(model, USERS, out, CONFIG).reasons == {"all": 5}


@pytest.mark.parametrize("name", ["users.arrow", "popularity.npy", "part-00001.parquet"])
def test_what_cannot_be_gone_on_with_is_scored_anew(out: Path, later: Later, name: str) -> None:
    (out / name).unlink()
    assert again(later([(1, 2)]), out).reasons == {"all": 5}


@pytest.mark.parametrize("broken", [1, 2])
def test_a_killed_run_goes_on_to_the_same_bytes(
    out: Path, folder: Path, later: Later, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    model = later([(1, 2), (2, 8)])
    score_users(folder, USERS, tmp_path / "straight", CONFIG)
    again(model, tmp_path / "straight")
    real, calls = batch.part_bytes, []

    def dies(*arguments: Any) -> bytes:
        calls.append(1)
        if len(calls) == broken:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(batch, "part_bytes", dies)
    with pytest.raises(KeyboardInterrupt):
        again(model, out)
    monkeypatch.undo()
    done = again(model, out)
    assert (done.written, done.carried + done.skipped) == (3 - broken, broken)
    for path in (tmp_path / "straight").iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()


@pytest.mark.parametrize("step", ["set aside", "put in place"])
def test_killed_while_the_folders_change_places(
    out: Path, folder: Path, later: Later, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    model = later([(1, 2)])
    score_users(folder, USERS, tmp_path / "straight", CONFIG)
    again(model, tmp_path / "straight")
    rename, calls = Path.rename, []

    def dies(self: Path, target: Path) -> Path:
        calls.append(1)
        if len(calls) == ["set aside", "put in place"].index(step) + 1:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", dies)
    with pytest.raises(KeyboardInterrupt):
        again(model, out)
    monkeypatch.undo()
    assert out.exists() == (step == "set aside")
    assert again(model, out).written == 0
    for path in (tmp_path / "straight").iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()
    assert [path.name for path in tmp_path.glob(".out*")] == []


def test_a_dry_run_says_what_the_run_does_and_writes_nothing(out: Path, later: Later, tmp_path: Path) -> None:
    model = later([(1, 2)])

    def stands() -> dict[Path, tuple[int, int]]:
        every = [*tmp_path.iterdir(), *out.iterdir()]
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in every}

    before = stands()
    told = forecast(model, USERS, out, CONFIG, full=False)
    assert stands() == before
    assert (told.users, told.reasons, told.write, told.carry) == (5, {"kept": 4, "events": 1}, 1, 2)
    assert told.user_s > 0 and told.workers == 1
    assert told.words()[:2] == [
        "due: 1 of 5 users (kept 4, events 1)",
        "partitions: 1 to write, 2 to carry over",
    ]
    assert told.words()[2].endswith(" ms a user, 1 at a time")
    assert forecast(model, USERS, out, CONFIG, full=True).reasons == {"all": 5}
    done = again(model, out)
    assert (done.reasons, done.written, done.carried) == (told.reasons, told.write, told.carry)
    left = forecast(model, USERS, out, CONFIG, full=False)
    assert left.words() == ["nothing is left to do: 5 users are scored as of this state"]
