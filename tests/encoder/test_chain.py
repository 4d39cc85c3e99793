"""Training forward in time: a slice sees its own past, and going on is the same as never having stopped."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from recsys.core.log import PairArrays
from recsys.encoder.chain import Slice, _chain_key, train_chain
from tests.encoder.test_resume import FILES, Broken, counted
from tests.encoder.tiny import toy

CUTS = (0, 300, 550, 800)  # log positions; every event is a pair


def part(k: int, item: np.ndarray | None = None) -> Slice:
    world = toy()
    inside = slice(CUTS[k], CUTS[k + 1])
    pairs = world.pairs if item is None else world.pairs._replace(item=item)
    own = PairArrays(*(column[inside] for column in pairs))
    window = {"name": "fit", "end": int(world.log.time[CUTS[k + 1] - 1]) + 1}
    return Slice(own, None, np.unique(pairs.item[: CUTS[k + 1]]), window)


def chain(folder: Path, *parts: Slice, preset: str = "adapter", **more: Any) -> dict[str, bytes]:
    world = toy()
    config, trainer = (
        world.config(preset=preset),
        world.trainer(max_epochs=1, batch_size=128, holdout=0.0, save_every_s=0.0),
    )
    train_chain(world.texts, parts, more.pop("log", world.log), config, trainer, folder, clock=True, **more)
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("preset", ["adapter", "top"])
def test_going_on_is_the_same_as_never_having_stopped(preset: str, tmp_path: Path) -> None:
    whole = chain(tmp_path / "whole", part(0), part(1), part(2), preset=preset)
    monday = chain(tmp_path / "monday", part(0), preset=preset)
    tuesday = chain(tmp_path / "tuesday", part(1), start=tmp_path / "monday", preset=preset)
    first, second = (tmp_path / "whole" / "slices" / str(k) for k in (1, 2))
    assert {name: (first / name).read_bytes() for name in FILES} == monday
    assert {name: (second / name).read_bytes() for name in FILES} == tuesday
    assert chain(tmp_path / "wednesday", part(2), start=tmp_path / "tuesday", preset=preset) == whole
    assert len({run["weights.safetensors"] for run in (monday, tuesday, whole)}) == 3


def test_each_boundary_tells_what_it_saw_and_all_share_one_geometry(tmp_path: Path) -> None:
    chain(tmp_path, part(0), part(1), part(2))
    folders = [tmp_path / "slices" / "1", tmp_path / "slices" / "2", tmp_path]
    for k, folder in enumerate(folders):
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["window"] == part(k).window
        assert sum(manifest["pairs"].values()) == CUTS[k + 1] - CUTS[k]
        own = {name for name in manifest["sha256"] if not name.startswith("pretrained/")}
        assert own == {*FILES, "tokenizer.json", "README.md"}
    means = [load_file(folder / "weights.safetensors")["head.mean"] for folder in folders]
    assert (means[0] == means[1]).all() and (means[0] == means[2]).all()
    vectors = [np.load(folder / "raw.npy") for folder in folders]
    assert (vectors[0] == vectors[2]).all()
    assert sorted(p.name for p in (tmp_path / "slices").iterdir()) == ["1", "2"]


def test_a_slice_knows_nothing_of_what_comes_after_it(tmp_path: Path) -> None:
    world = toy()
    item = world.pairs.item.copy()
    item[CUTS[2] :] = item[CUTS[2] :][::-1]
    changed = world.log._replace(
        item=item, kind=np.r_[world.log.kind[: CUTS[2]], world.log.kind[CUTS[2] :][::-1]]
    )
    one = chain(tmp_path / "one", part(0), part(1), part(2))
    other = chain(tmp_path / "other", part(0, item), part(1, item), part(2, item), log=changed)
    assert one["weights.safetensors"] != other["weights.safetensors"]
    for k in ("1", "2"):
        for name in FILES:
            paths = [tmp_path / run / "slices" / k / name for run in ("one", "other")]
            assert paths[0].read_bytes() == paths[1].read_bytes(), (k, name)


def test_a_chain_that_is_broken_off_makes_no_slice_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        made = counted(patch)
        whole = chain(tmp_path / "whole", part(0), part(1), part(2))
    second = [i for i, step in enumerate(made) if step == (0, 0)][1]
    with monkeypatch.context() as patch, pytest.raises(Broken):
        counted(patch, second + 1)
        chain(tmp_path / "broken", part(0), part(1), part(2), resume=tmp_path / "state")
    with monkeypatch.context() as patch:
        rest = counted(patch)
        again = chain(tmp_path / "again", part(0), part(1), part(2), resume=tmp_path / "state")
    assert again == whole
    assert rest == made[second + 1 :]
    assert not (tmp_path / "state").exists()
    for name in FILES:
        kept = [tmp_path / run / "slices" / "1" / name for run in ("whole", "again")]
        assert kept[0].read_bytes() == kept[1].read_bytes()


def test_slices_of_another_chain_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(Broken):
        counted(patch, 4)
        chain(tmp_path / "broken", part(0), part(2), resume=tmp_path / "state")
    assert list((tmp_path / "state").glob("*/slices/1"))
    chain(tmp_path / "other", part(1), part(2), resume=tmp_path / "state")
    assert chain(tmp_path / "one", part(1)) == {
        name: (tmp_path / "other" / "slices" / "1" / name).read_bytes() for name in FILES
    }


def test_minutes_are_those_of_the_whole_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float | None] = []

    def train(*args: Any, limit_s: float | None = None, **more: Any) -> None:
        given.append(limit_s)
        folder = args[5]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(json.dumps({"seconds": {"train": 30.0}}))

    monkeypatch.setattr("recsys.encoder.chain.train_encoder", train)
    world = toy()
    for minutes, name in ((3.0, "limited"), (0.0, "free"), (0.75, "short")):
        trainer = world.trainer(limit_minutes=minutes)
        out = tmp_path / name
        train_chain(
            world.texts, [part(0), part(1), part(2)], world.log, world.config(), trainer, out, clock=True
        )
    # 180 s: a third; half of the 150 left; all of the 120 left. Of 45 s the second slice has half of 15
    assert given == [60.0, 75.0, 120.0, None, None, None, 15.0, 7.5, 0.0]


def test_a_slice_ends_when_its_time_is_over(tmp_path: Path) -> None:
    world = toy()
    trainer = world.trainer(max_epochs=9, patience=0, limit_minutes=90)
    history = world.train(tmp_path, world.config(), trainer, limit_s=0.0).history
    assert [row["kind"] for row in history] == ["start", "pairs"], "one step closes the epoch"


def test_the_key_of_a_chain_names_every_file_that_is_read(tmp_path: Path) -> None:
    world = toy()
    model = shutil.copytree(world.encoder, tmp_path / "model")
    start = tmp_path / "start"
    start.mkdir()
    (start / "weights.safetensors").write_bytes(b"weights")

    def key(model: Path = model) -> str:
        config = world.config(name_or_path=str(model))
        return _chain_key(world.texts, [part(0)], world.log, config, world.trainer(), True, start, None)

    keys = [key(), key(Path(shutil.copytree(model, tmp_path / "elsewhere")))]
    assert keys[0] == keys[1], "where the model lies does not count"
    for path in (model / "1_Pooling" / "config.json", start / "small.safetensors"):
        path.parent.mkdir(exist_ok=True)
        for text in ("one", "other"):
            path.write_text(text)
            keys.append(key())
    assert len(set(keys[1:])) == 5
