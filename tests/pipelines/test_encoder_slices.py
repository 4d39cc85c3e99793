"""Slices of the demo shop, and the command that goes on from a trained encoder."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.core.columns import CART, CLICK, PURCHASE
from recsys.core.errors import BundleError, ConfigError, DataError
from recsys.data.pairs import PairsConfig, make_pairs
from recsys.data.prepare import Prepared, load
from recsys.encoder.chain import Slice
from recsys.pipelines import train_encoder
from recsys.pipelines.encoder_slices import find_encoder, make_slices, seen_until
from recsys.pipelines.path import stage_configs, start_encoder
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import load as load_settings
from tests.encoder.test_resume import Broken, counted
from tests.pipelines.toy_shop import MODEL, SHOP, say, scratch, toy_encoder

PAIRS = PairsConfig()
RANKS = {"monday": 0.3, "tuesday": 0.5}  # where the window fit ends


@pytest.fixture(scope="module")
def root() -> Path:
    """Two runs up to the trained encoder, the second from the first."""
    root = scratch()
    for name, more in (("monday", ()), ("tuesday", (f"from={root / 'monday'}", "encoder.slices=2"))):
        for stage in ("prepare", "train-encoder"):
            say([*asked(root, name), *more], stage)
    return root


def asked(root: Path, name: str) -> list[str]:
    own = [one for one in MODEL if "export" not in one]
    encoder = [f"encoder.name_or_path={toy_encoder()}", "encoder.export=vectors", "trainer.threads=1"]
    places = [f"paths.root={root}", f"paths.run_dir={root / name}", f"split.rank={RANKS[name]}"]
    return [*SHOP, *own, *encoder, *places]


@pytest.fixture(scope="module")
def shop(root: Path) -> Prepared:
    return load(root / "tuesday" / "stages" / "prepare")


def test_going_on_learns_what_came_after_and_nothing_twice(root: Path, shop: Prepared) -> None:
    monday, tuesday = (root / name / "stages" / "train-encoder" for name in RANKS)
    then, now = seen_until(monday), seen_until(tuesday)
    assert then == load(root / "monday" / "stages" / "prepare").windows.rank
    told = [
        json.loads((folder / "manifest.json").read_text()) for folder in (tuesday / "slices" / "1", tuesday)
    ]
    between = told[0]["window"]["end"]
    assert told[0]["window"] == {"name": "fit", "end": between, "slice": 1, "slices": 2, "after": then}
    assert told[1]["window"] == {"name": "fit", "end": now, "slice": 2, "slices": 2, "after": then}
    time = shop.log.time[make_pairs(shop.log, now, PAIRS).position]
    learned = [sum(one["pairs"].values()) for one in told]
    assert sum(learned) == np.sum((time >= then) & (time < now)) and abs(learned[0] - learned[1]) <= 1
    means = [np.load(folder / "mean.npy") for folder in (monday, tuesday / "slices" / "1", tuesday)]
    assert (means[0] == means[1]).all() and (means[0] == means[2]).all()
    assert not list((root / "work").glob("training-state/*"))


def test_the_encoder_to_go_on_from_counts_by_its_content(root: Path, tmp_path: Path) -> None:
    def key(*more: str) -> str:
        config, _ = load_settings([*asked(root, "tuesday"), *more])
        runner = Runner(tmp_path / "work", tmp_path / "run")
        settings = stage_configs(config)["train-encoder"]
        return runner.key(train_encoder.STAGE, dict(start_encoder(config)), settings)

    monday = f"from={root / 'monday'}"
    keys = [key(), key(monday), key(f"from={root / 'monday' / 'stages' / 'train-encoder'}")]
    assert keys[1] == keys[2] != keys[0]
    assert key(f"from={root / 'tuesday'}") not in keys


def test_a_wrong_from_is_named(root: Path, tmp_path: Path) -> None:
    asked_twice = [*asked(root, "monday"), f"from={root / 'tuesday'}"]
    with pytest.raises(DataError) as error:
        say(asked_twice, "train-encoder")
    assert str(error.value).startswith("from: expected training pairs after 20")
    assert "where the window fit ends. Move split.rank, or give newer events." in str(error.value)
    with pytest.raises(ConfigError) as refused:
        find_encoder(str(tmp_path))
    assert str(refused.value) == (
        "from: expected the folder of a trained encoder (weights.safetensors, manifest.json), of its run, "
        f"or of a bundle in it; found '{tmp_path}', which holds no encoder's weights. Name the folder of a "
        "trained encoder, or of the run that trained it. A bundle that was copied elsewhere has no weights "
        "to go on from."
    )
    with pytest.raises(ConfigError, match=r"found '.*/nowhere', no such folder"):
        find_encoder(str(tmp_path / "nowhere"))
    (tmp_path / "manifest.json").write_text('{"window": {"name": "fit"}}')
    with pytest.raises(BundleError, match=r"manifest\.json: expected a whole number under 'end'"):
        seen_until(tmp_path)
    with pytest.raises(BundleError, match="expected weights of this configuration"):
        say([*asked(root, "tuesday"), f"from={root / 'monday'}", "encoder.adapter_size=7"], "train-encoder")


def test_an_encoder_is_found_by_its_run_and_by_a_bundle_in_it(root: Path) -> None:
    encoder = (root / "monday" / "stages" / "train-encoder").resolve()
    for named in (encoder, root / "monday", root / "monday" / "model"):
        assert find_encoder(str(named)) == encoder


def _equal(one: Slice, other: Slice) -> bool:
    arrays = zip((*one.pairs, one.known_items), (*other.pairs, other.known_items), strict=True)
    return one.window == other.window and all(np.array_equal(*two) for two in arrays)


def test_slices_hold_their_own_pairs_and_the_items_known_by_then(shop: Prepared) -> None:
    end = shop.windows.rank
    slices = make_slices(shop, PAIRS, 3, lists=False)
    assert [one.window["slice"] for one in slices] == [1, 2, 3] and slices[-1].window["end"] == end
    begin = 0
    for one in slices:
        time = shop.log.time[one.pairs.position]
        assert begin <= time.min() and time.max() < one.window["end"]
        earlier = shop.log.item[shop.log.time < one.window["end"]]
        assert one.known_items.tolist() == sorted({*earlier.tolist()} - {-1})
        begin = one.window["end"]
    sizes = [len(one.pairs.item) for one in slices]
    assert max(sizes) - min(sizes) <= 2
    (only,) = make_slices(shop, PAIRS, 1, lists=False)
    assert only.window == {"name": "fit", "end": end}
    assert all(np.array_equal(*two) for two in zip(only.pairs, make_pairs(shop.log, end, PAIRS), strict=True))


def test_a_changed_future_changes_no_earlier_slice(shop: Prepared) -> None:
    slices = make_slices(shop, PAIRS, 3, lists=False)
    later = shop.log.time >= slices[1].window["end"]
    fresh = later & ~np.isin(shop.log.request, shop.log.request[~later])
    item = np.where(fresh, (shop.log.item + 1) % len(shop.items), shop.log.item).astype(np.int32)
    kind = np.where(later & np.isin(shop.log.kind, (CLICK, CART)), PURCHASE, shop.log.kind).astype(np.int8)
    begun = later & ~fresh & (kind != shop.log.kind)
    assert begun.any(), "a request that began before the boundary goes on after it"
    again = make_slices(replace(shop, log=shop.log._replace(item=item, kind=kind)), PAIRS, 3, lists=False)
    assert _equal(again[0], slices[0]) and _equal(again[1], slices[1])
    assert not _equal(again[2], slices[2])


def test_a_stage_that_was_broken_off_goes_on_at_its_step(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*asked(root, "monday"), f"paths.run_dir={root / 'broken'}", f"paths.work={tmp_path}"]
    command += ["trainer.save_every_s=0", "trainer.batch_size=16"]
    say(command, "prepare")
    with monkeypatch.context() as patch, pytest.raises(Broken):
        counted(patch, 3)
        say(command, "train-encoder")
    assert not list((tmp_path / "train-encoder").glob("*")), "what the stage had in its folder is swept away"
    states = tmp_path / "training-state"
    ((state,),) = ([path.parent] for path in states.glob("*/*.safetensors"))
    others = [states / f"abandoned-{days}" for days in range(2, 8)]
    for days, place in zip((9, *range(2, 8)), (state, *others), strict=True):  # its own is the oldest
        place.mkdir(exist_ok=True)
        for path in (*place.iterdir(), place):
            os.utime(path, (time.time() - days * 86_400,) * 2)
    rest = counted(monkeypatch)
    say(command, "train-encoder")
    assert rest[0] == (0, 3)
    assert sorted(states.iterdir()) == others[:3], "four stayed, its own among them until it was done"
