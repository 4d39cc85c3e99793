"""The old model folder or the new one stands there, whole, wherever a process is killed."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.core import exchange as exchanging
from recsys.core.errors import BundleError
from recsys.core.exchange import aside
from recsys.pipelines import model_update as updating
from recsys.serving import bundle_place
from recsys.serving.bundle import Bundle
from recsys.serving.bundle_place import clear, next_of, previous_of, roll_back
from tests.serving.update_world import content, frame_of, put


class Killed(BaseException):
    """As by a signal: nobody catches it."""


@pytest.fixture
def model(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model"))


def update(model: Path, number: int = 0) -> None:
    put(model, frame_of(10 * number, 10 * number + 10))


def beside(model: Path) -> list[str]:
    return sorted(path.name for path in model.parent.iterdir() if path.name != "events.parquet")


def dies(*_: object) -> None:
    raise Killed


def test_an_update_keeps_the_previous_folder_and_no_older_one(model: Path) -> None:
    first = content(model)
    update(model)
    second = content(model)
    assert first != second
    assert content(previous_of(model)) == first
    update(model, 1)
    assert content(previous_of(model)) == second
    assert beside(model) == ["model", "model.previous"]
    Bundle.load(model, verify=True)
    Bundle.load(previous_of(model), verify=True)


def test_a_rollback_restores_the_bytes_and_can_be_taken_back(model: Path) -> None:
    first = content(model)
    update(model)
    second = content(model)
    assert roll_back(model) == previous_of(model)
    assert (content(model), content(previous_of(model))) == (first, second)
    update(model)  # the same file: this folder has not seen it
    assert content(model) == second
    roll_back(model)
    roll_back(model)
    assert content(model) == second


def test_without_a_previous_folder_there_is_no_way_back(model: Path) -> None:
    with pytest.raises(BundleError, match=r"expected model\.previous beside it, .*found no such folder"):
        roll_back(model)


def killed_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    from recsys.serving import bundle_write

    monkeypatch.setattr(bundle_write, "save_arrays", dies)


def killed_before_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updating, "put_in_use", dies)


@pytest.mark.parametrize("kill", [killed_while_writing, killed_before_the_exchange])
def test_killed_before_the_exchange_the_old_folder_is_in_use(
    model: Path, kill: Callable[[pytest.MonkeyPatch], None]
) -> None:
    update(model)
    old = content(model), content(previous_of(model))
    with pytest.MonkeyPatch.context() as patch:
        kill(patch)
        with pytest.raises(Killed):
            update(model, 1)
    assert (content(model), content(previous_of(model))) == old
    assert next_of(model).exists()
    update(model, 1)
    assert beside(model) == ["model", "model.previous"]
    assert len(Bundle.load(model, verify=True).manifest["updates"]) == 2


@pytest.mark.parametrize("older", [False, True])
def test_killed_after_the_exchange_the_new_folder_is_in_use(model: Path, older: bool) -> None:
    if older:
        update(model)
    old = content(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_place, "_keep", dies)
        with pytest.raises(Killed):
            update(model, 1)
    new = content(model)
    assert new != old and content(next_of(model)) == old
    clear(model)
    assert (content(model), content(previous_of(model))) == (new, old)
    assert beside(model) == ["model", "model.previous"]


def test_killed_while_the_oldest_folder_was_removed(model: Path) -> None:
    update(model)
    old = content(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", dies)
        with pytest.raises(Killed):
            update(model, 1)
    clear(model)
    assert content(previous_of(model)) == old
    assert beside(model) == ["model", "model.previous"]


@pytest.fixture
def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanging, "_in_one_step", lambda place, other: errno.ENOSYS)


@pytest.mark.usefixtures("no_exchange")
def test_where_names_cannot_be_exchanged_at_once_renames_do_it(model: Path) -> None:
    first = content(model)
    update(model)
    second = content(model)
    update(model, 1)
    assert content(previous_of(model)) == second != first
    roll_back(model)
    assert content(model) == second
    assert beside(model) == ["model", "model.previous"]


@pytest.mark.usefixtures("no_exchange")
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("renames", [1, 2])
def test_killed_between_the_renames_the_next_run_mends_it(model: Path, renames: int, back: bool) -> None:
    update(model)
    if not back:
        shutil.rmtree(previous_of(model))
    old, rename, left = content(model), Path.rename, [renames]

    def counted(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return rename(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", counted)
        with pytest.raises(Killed):
            roll_back(model) if back else update(model, 1)
    assert aside(model).exists()
    clear(model)
    Bundle.load(model, verify=True)
    assert content(model if renames == 1 else previous_of(model)) == old
    assert not next_of(model).exists() and not aside(model).exists()


def test_an_older_format_is_not_put_in_use_again(model: Path) -> None:
    update(model)
    path = previous_of(model) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    now = content(model)
    with pytest.raises(BundleError, match="expected format 3; found format 2"):
        roll_back(model)
    assert content(model) == now


def test_a_folder_that_is_exchanged_while_it_is_read_is_read_again(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recsys.serving import bundle

    update(model)
    load, calls = bundle._load, [0]

    def meanwhile(*given: object) -> Bundle:
        found = load(*given)  # type: ignore[arg-type]
        calls[0] += 1
        if calls[0] == 1:
            roll_back(model)
        return found

    monkeypatch.setattr(bundle, "_load", meanwhile)
    assert Bundle.load(model).manifest["updates"] == []
    assert calls == [2]
