"""Processes that score: as many as one likes for the same bytes; one that dies says with which partition."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.core.errors import RecsysError
from recsys.serving import workers
from recsys.serving.batch import processes, score_users
from recsys.serving.batch_config import BatchConfig
from recsys.serving.partition import Part, part_bytes
from recsys.serving.ranker import Ranker
from recsys.serving.workers import Worker

USERS = ["u0", "u1", "u2", "u3", "a stranger", 'with "quotes"\nand a line']
CONFIG = BatchConfig(k=3, exclude_seen=False, partition_size=2, workers=2)


def test_the_number_of_processes_changes_no_byte(folder: Path, tmp_path: Path) -> None:
    two = score_users(folder, USERS, tmp_path / "two", CONFIG)
    one = score_users(folder, USERS, tmp_path / "one", replace(CONFIG, workers=1))
    given = score_users(Ranker.load(folder), USERS, tmp_path / "given", CONFIG)
    assert two.written == one.written == given.written == 3
    for path in two.folder.iterdir():
        same = path.read_bytes()
        assert same == (one.folder / path.name).read_bytes() == (given.folder / path.name).read_bytes()


def test_a_dead_worker_is_an_error_that_names_its_partition(folder: Path, ranker: Ranker) -> None:
    part = Part(["u0", "u1"], ["u0", "u1"])
    worker = Worker(folder, CONFIG)
    try:
        assert worker.score("part-00000.parquet", part) == part_bytes(ranker, part, CONFIG)
        os.kill(worker.process.pid, signal.SIGKILL)
        with pytest.raises(RecsysError) as caught:
            worker.score("part-00001.parquet", part)
    finally:
        worker.stop()
    assert str(caught.value) == (
        "the worker of part-00001.parquet (users 'u0' to 'u1'): expected a process that scores its "
        "partition; found it killed by signal 9. The finished partitions are kept: give the same "
        "command again, with fewer scoring.workers or a smaller scoring.partition_size where memory was "
        "short."
    )


def test_a_worker_ends_with_the_pipe_that_it_is_told_through(folder: Path) -> None:
    worker = Worker(folder, CONFIG)
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait(60) == 0
    assert worker.process.stdout is not None
    worker.process.stdout.close()


@pytest.mark.slow
def test_what_is_finished_when_a_worker_dies_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Worker.score

    def dies(self: Worker, name: str, part: Part) -> bytes:
        if name == "part-00002.parquet":
            os.kill(self.process.pid, signal.SIGKILL)
        return real(self, name, part)

    monkeypatch.setattr(workers.Worker, "score", dies)
    with pytest.raises(RecsysError, match="the worker of part-00002.parquet"):
        score_users(folder, USERS, tmp_path / "out", replace(CONFIG, partition_size=1))
    monkeypatch.undo()
    done = score_users(folder, USERS, tmp_path / "out", replace(CONFIG, partition_size=1))
    assert done.skipped >= 1 and done.skipped + done.written == 6
    straight = score_users(folder, USERS, tmp_path / "straight", replace(CONFIG, partition_size=1, workers=1))
    for path in straight.folder.iterdir():
        assert path.read_bytes() == (done.folder / path.name).read_bytes()


@pytest.mark.parametrize(
    ("workers", "parts", "expected"), [(3, 2, 2), (2, 5, 2), (1, 9, 1), (4, 0, 1), (0, 1, 1)]
)
def test_no_more_processes_than_partitions(workers: int, parts: int, expected: int) -> None:
    assert processes(BatchConfig(workers=workers), parts) == expected


def test_all_cores_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(7)))
    assert processes(BatchConfig(), 100) == 7
