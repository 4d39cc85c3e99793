"""Outputs appear whole or not at all, and locks end with their holders."""

import json
import os
import subprocess
import sys
import threading

import pytest

from recsys.pipelines import atomic
from recsys.pipelines.lock import held
from recsys.pipelines.measure import measured


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_json_is_written_whole(tmp_path):
    place = tmp_path / "deep" / "a.json"
    atomic.write_json(place, {"b": 1, "a": [2]})
    assert json.loads(place.read_text()) == {"a": [2], "b": 1}
    atomic.write_json(place, {"c": 1})
    assert json.loads(place.read_text()) == {"c": 1}
    assert names(place.parent) == ["a.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    place = tmp_path / "a.json"
    atomic.write_json(place, {"a": 1})
    with pytest.raises(TypeError):
        atomic.write_json(place, {"a": object()})
    assert json.loads(place.read_text()) == {"a": 1}


def test_a_link_is_relative_and_replaced(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "work" / name).mkdir(parents=True)
    place = tmp_path / "runs" / "stages" / "prepare"
    atomic.link(place, tmp_path / "work" / "one")
    atomic.link(place, tmp_path / "work" / "two")
    assert place.resolve() == tmp_path / "work" / "two"
    assert not os.readlink(place).startswith("/")
    assert names(place.parent) == ["prepare"]


def test_a_published_file_outlives_its_source(tmp_path):
    source = tmp_path / "source.txt"
    source.write_text("x")
    place = tmp_path / "run" / "out.txt"
    atomic.publish(source, place)
    atomic.publish(source, place)
    assert place.stat().st_ino == source.stat().st_ino  # no second copy on the disk
    source.unlink()
    assert place.read_text() == "x"


def test_a_published_folder_replaces_the_old_one_whole(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / f"{name}.txt").write_text(name)
    place = tmp_path / "run" / "model"
    atomic.publish(tmp_path / "one", place)
    atomic.publish(tmp_path / "two", place)
    assert names(place / "sub") == ["two.txt"]
    assert names(place.parent) == ["model"]


def test_publishing_falls_back_to_copies(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_text("x")
    atomic.publish(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "x"


def test_a_lock_excludes_and_is_freed(tmp_path):
    place = tmp_path / "locks" / "a"
    with held(place) as first:
        assert first
        assert place.read_text() == str(os.getpid())
        with held(place) as second:
            assert not second
    with held(place) as third:
        assert third


def test_who_waits_is_told_and_gets_its_turn(tmp_path):
    place = tmp_path / "a"
    told, order = [], []
    ready = threading.Event()

    def wait():
        with held(place, lambda pid: (told.append(pid), ready.set())) as got:
            order.append(("second", got))

    with held(place):
        thread = threading.Thread(target=wait)
        thread.start()
        assert ready.wait(10)
        order.append(("first", True))
    thread.join(10)
    assert told == [str(os.getpid())]
    assert order == [("first", True), ("second", True)]


def test_a_killed_holder_leaves_no_lock(tmp_path):
    code = (
        "import os, signal, sys, pathlib\nfrom recsys.pipelines.lock import held\n"
        "with held(pathlib.Path(sys.argv[1])):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    assert done.returncode == -9
    with held(tmp_path / "a") as got:
        assert got


def test_time_and_peak_memory_are_measured():
    with measured() as cost:
        block = bytearray(64 << 20)
        block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
    assert 0 < cost.seconds < 60
    assert cost.peak_gib > 64 / 1024
