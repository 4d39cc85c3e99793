"""Batch scoring: the cut into partitions, a broken run and the order of users change no recommendation."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys.core.errors import ConfigError
from recsys.serving import batch
from recsys.serving.batch import score_users
from recsys.serving.batch_config import BatchConfig
from recsys.serving.ranker import Ranker

USERS = ["u0", "u1", "u2", "u3", "new", "newer", "newest"]


def read(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "*.parquet")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_the_size_of_partitions_changes_no_recommendation(ranker: Ranker, tmp_path: Path, size: int) -> None:
    whole = score_users(ranker, USERS, tmp_path / "whole", BatchConfig(k=3))
    parts = score_users(ranker, USERS, tmp_path / "parts", BatchConfig(k=3, partition_size=size))
    assert read(parts.folder).equals(read(whole.folder))
    assert parts.written == len(list(parts.folder.glob("part-*"))) == -(-len(USERS) // size)


def killed_after(monkeypatch: pytest.MonkeyPatch, n: int) -> Callable[[], None]:
    """Break the run in its n-th partition; call the result to stop doing so."""
    real, calls = batch.part_bytes, []

    def dies(*arguments: object) -> bytes:
        calls.append(1)
        if len(calls) == n:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(batch, "part_bytes", dies)
    return lambda: monkeypatch.setattr(batch, "part_bytes", real)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_killed_run_may_go_on_with_another_size(
    ranker: Ranker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    mend = killed_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        score_users(ranker, USERS, tmp_path / "out", BatchConfig(k=3, partition_size=2))
    mend()
    assert not (tmp_path / "out").exists()
    done = score_users(ranker, USERS, tmp_path / "out", BatchConfig(k=3, partition_size=size))
    assert (done.skipped, done.written) == (
        0,
        -(-len(USERS) // size),
    )  # parts of another cut are not mixed in
    fresh = score_users(ranker, USERS, tmp_path / "fresh", BatchConfig(k=3, partition_size=size))
    assert read(done.folder).equals(read(fresh.folder))
    assert sorted(path.name for path in done.folder.iterdir()) == sorted(
        path.name for path in fresh.folder.iterdir()
    )


@pytest.mark.parametrize("broken", [1, 2, 4])
def test_wherever_it_was_killed_it_ends_with_the_same_bytes(
    ranker: Ranker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    config = BatchConfig(k=4, exclude_seen=False, partition_size=2)
    mend = killed_after(monkeypatch, broken)
    with pytest.raises(KeyboardInterrupt):
        score_users(ranker, USERS, tmp_path / "out", config)
    mend()
    done = score_users(ranker, USERS, tmp_path / "out", config)
    assert (done.skipped, done.written) == (broken - 1, 4 - broken + 1)
    straight = score_users(ranker, USERS, tmp_path / "straight", config)
    for path in straight.folder.iterdir():
        assert path.read_bytes() == (done.folder / path.name).read_bytes()


@pytest.mark.parametrize(
    "change",
    [{"k": 4}, {"exclude_seen": False}, {"partition_size": 5}, {"chances": False}],
    ids=["k", "seen", "size", "chances"],
)
def test_another_config_is_scored_again(ranker: Ranker, tmp_path: Path, change: dict[str, int]) -> None:
    settings = {"k": 3, "exclude_seen": True, "partition_size": 4, "chances": True}
    score_users(ranker, USERS, tmp_path / "out", BatchConfig(**settings))  # type: ignore[arg-type]
    done = score_users(ranker, USERS, tmp_path / "out", BatchConfig(**(settings | change)))  # type: ignore[arg-type]
    assert done.skipped == 0 and done.written > 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["config"] == {
        "moved": 0.25,
        "max_age_days": 7.0,
        **(settings | change),
    }


@pytest.mark.parametrize(
    "users", [USERS[:-1], [*USERS, "one more"], USERS[::-1], ["u0u1", *USERS[2:]]], ids=len
)
def test_other_users_are_scored_again(ranker: Ranker, tmp_path: Path, users: list[str]) -> None:
    score_users(ranker, USERS, tmp_path / "out", BatchConfig(k=3))
    assert score_users(ranker, users, tmp_path / "out", BatchConfig(k=3)).written == 1
    assert set(read(tmp_path / "out")["user_id"]) <= set(users)


@pytest.mark.parametrize("damage", ["part", "manifest", "both"])
def test_a_damaged_output_is_made_again(ranker: Ranker, tmp_path: Path, damage: str) -> None:
    first = read(score_users(ranker, USERS, tmp_path / "out", BatchConfig(k=3)).folder)
    if damage in ("part", "both"):
        (tmp_path / "out" / "part-00000.parquet").unlink()
    if damage in ("manifest", "both"):
        (tmp_path / "out" / "manifest.json").write_text("{")
    done = score_users(ranker, USERS, tmp_path / "out", BatchConfig(k=3))
    assert done.written == 1
    assert read(done.folder).equals(first)


def test_ranks_rise_and_scores_fall_for_every_user(ranker: Ranker, tmp_path: Path) -> None:
    frame = read(score_users(ranker, USERS, tmp_path / "out", BatchConfig(k=4, exclude_seen=False)).folder)
    for _, part in frame.partition_by("user_id", as_dict=True, maintain_order=True).items():
        assert part["rank"].to_list() == list(range(1, len(part) + 1))
        assert part["score"].is_sorted(descending=True)
        assert part["item_id"].n_unique() == len(part) <= 4
    assert frame["user_id"].unique(maintain_order=True).to_list() == USERS
    assert frame.filter(pl.col("user_id") == "new")["item_id"].to_list() == (
        frame.filter(pl.col("user_id") == "newest")["item_id"].to_list()
    )


def test_nothing_to_recommend_gives_an_empty_part_with_its_columns(ranker: Ranker, tmp_path: Path) -> None:
    ranker.observe([("u0", f"i{i}", "click") for i in range(10)])
    done = score_users(ranker, ["u0"], tmp_path / "out")
    frame = read(done.folder)
    assert (done.users, done.rows, frame.height) == (1, 0, 0)
    assert frame.schema == {
        "user_id": pl.String,
        "rank": pl.Int32,
        "item_id": pl.String,
        "score": pl.Float32,
        "model": pl.String,
    }


def test_scoring_leaves_the_ranker_as_it_was(ranker: Ranker, tmp_path: Path) -> None:
    before = ranker.rank("u0", ["i1", "i2", "i3"], at="state").scores.tolist()
    score_users(ranker, USERS, tmp_path / "out")
    assert ranker.rank("u0", ["i1", "i2", "i3"], at="state").scores.tolist() == before
    assert len(ranker.bundle.users) == 4  # asking about somebody makes nobody known


@pytest.mark.parametrize("size", [0, -5])
def test_a_partition_of_nobody_is_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=f"scoring.partition_size: expected at least 1; found {size}"):
        BatchConfig(partition_size=size)
