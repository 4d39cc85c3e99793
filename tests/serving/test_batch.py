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

USERS = ["u0", "u1", "u2", "u3", "somebody new"]
CONFIG = BatchConfig(k=3, exclude_seen=False, partition_size=2)


def read(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "*.parquet")


def test_batch_equals_single_calls(ranker: Ranker, tmp_path: Path) -> None:
    done = score_users(ranker, [*USERS, "u1"], tmp_path / "out", CONFIG)
    assert (done.users, done.rows, done.written, done.skipped) == (5, 15, 3, 0)
    frame = read(done.folder)
    assert frame.columns == ["user_id", "rank", "item_id", "score", "model"]
    for user in USERS:
        answer = ranker.recommend(user, 3, exclude_seen=False, at="state")
        rows = frame.filter(pl.col("user_id") == user)
        assert rows["item_id"].to_list() == list(answer.item_ids)
        assert rows["rank"].to_list() == answer.ranks.tolist()
        assert rows["score"].to_list() == answer.scores.astype("float32").tolist()
    assert frame["model"].unique().to_list() == ["full"]
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["parts"] == {"part-00000.parquet": 6, "part-00001.parquet": 6, "part-00002.parquet": 3}
    assert manifest["state"]["position"] == 60


def test_the_same_again_is_skipped_and_has_the_same_bytes(ranker: Ranker, tmp_path: Path) -> None:
    first = score_users(ranker, USERS, tmp_path / "out", CONFIG)
    other = score_users(ranker, USERS, tmp_path / "other", CONFIG)
    for path in first.folder.iterdir():
        assert path.read_bytes() == (other.folder / path.name).read_bytes()
    again = score_users(ranker, USERS, tmp_path / "out", CONFIG)
    assert (again.written, again.skipped, again.rows) == (0, 3, first.rows)


def test_a_killed_run_goes_on_and_readers_see_the_old_output(
    ranker: Ranker, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    score_users(ranker, USERS[:1], out, CONFIG)
    old = read(out)
    real: Callable[..., bytes] = batch.part_bytes
    calls = []

    def dies(*arguments: object) -> bytes:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(batch, "part_bytes", dies)
    with pytest.raises(KeyboardInterrupt):
        score_users(ranker, USERS, out, CONFIG)
    assert read(out).equals(old)
    monkeypatch.setattr(batch, "part_bytes", real)
    done = score_users(Ranker.load(folder), USERS, out, CONFIG)
    assert (done.written, done.skipped) == (1, 2)
    assert read(out)["user_id"].n_unique() == 5
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_new_events_make_new_recommendations(ranker: Ranker, tmp_path: Path) -> None:
    score_users(ranker, USERS, tmp_path / "out", CONFIG)
    ranker.observe([("u0", "i3", "click")])
    assert score_users(ranker, USERS, tmp_path / "out", CONFIG).written == 3


def test_nobody_to_score(ranker: Ranker, tmp_path: Path) -> None:
    done = score_users(ranker, [], tmp_path / "out")
    assert (done.users, done.rows, done.written) == (0, 0, 0)
    assert (done.folder / "manifest.json").is_file()


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="scoring.k: expected at least 1; found 0"):
        BatchConfig(k=0)
    with pytest.raises(ConfigError, match="scoring.partition_size: expected at least 1; found -1"):
        BatchConfig(partition_size=-1)


def test_a_broken_run_of_another_config_leaves_nothing_behind(
    ranker: Ranker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real = tmp_path / "out", batch.part_bytes
    kept = tmp_path / ".out-notes"
    kept.mkdir()

    def dies(*arguments: object) -> bytes:
        raise KeyboardInterrupt

    for size in (1, 2):
        monkeypatch.setattr(batch, "part_bytes", dies)
        with pytest.raises(KeyboardInterrupt):
            score_users(ranker, USERS, out, BatchConfig(k=3, partition_size=size))
        assert len(list(tmp_path.glob(".out-*"))) == 2, "that of the last run, to go on with, and the notes"
    monkeypatch.setattr(batch, "part_bytes", real)
    for size in (3, 3):
        score_users(ranker, USERS, out, BatchConfig(k=3, partition_size=size))
        assert sorted(path.name for path in tmp_path.iterdir()) == [kept.name, "out"]


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"key": 3}'])
def test_an_output_that_cannot_be_read_is_written_anew(ranker: Ranker, tmp_path: Path, content: str) -> None:
    done = score_users(ranker, USERS, tmp_path / "out", CONFIG)
    (done.folder / "manifest.json").write_text(content)
    assert score_users(ranker, USERS, tmp_path / "out", CONFIG).written == 3
