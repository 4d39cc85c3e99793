"""The benchmark of batch scoring, its parts on the toy shop's model as of two moments."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core import columns as c
from recsys.core.log import make_log
from recsys.pipelines import bundle
from recsys.pipelines.bench_serving_batch import (
    NAMES,
    QUICK,
    equal,
    incremental_figures,
    overlap,
    pairs_figure,
)
from recsys.pipelines.bench_serving_trained import Moments, moment
from recsys.pipelines.path import STAGES, stage_configs
from recsys.pipelines.settings import load
from recsys.serving.bundle_write import write_bundle
from tests.pipelines.toy_shop import ToyRun, toy_data


@pytest.fixture(scope="module")
def moments(toy: ToyRun, tmp_path_factory: pytest.TempPathFactory) -> Moments:
    config = stage_configs(load(toy.overrides)[0])["bundle"]
    assert isinstance(config, bundle.Config)
    data, root = toy_data(), tmp_path_factory.mktemp("moments")
    folders = {stage.name: toy.stage(stage.name) for stage in STAGES}
    stop = moment(data.log, len(data.users), 0.05)
    before, after = (bundle.parts(folders, config, data, end) for end in (stop, len(data.log.time)))
    users = data.users[c.USER_ID].to_list()
    return Moments(write_bundle(root / "before", before), write_bundle(root / "after", after), users, after)


def test_the_moment_after_which_so_many_users_are_active() -> None:
    kinds = [c.CLICK, c.CLICK, c.PURCHASE, c.CLICK, c.IMPRESSION, c.CLICK]
    log = make_log(np.array([0, 1, 2, 1, 3, 1]), np.zeros(6, int), np.arange(6), np.array(kinds))
    assert moment(log, 4, 0.25) == 5  # user 1, whose click is the last
    assert moment(log, 4, 0.5) == 2  # user 2 as well; to see something is not to do something
    assert moment(log, 4, 0.75) == 0


def test_those_who_are_due_against_everybody(moments: Moments, tmp_path: Path) -> None:
    shared, share = incremental_figures(moments, tmp_path)
    assert [shared.name, share.name] == list(NAMES[1:3])
    assert 0.5 < shared.value <= 1 and share.value > 0
    assert "(events 3, " in shared.note or ", events 3" in shared.note  # a twentieth of sixty


def test_pairs_a_second(moments: Moments, tmp_path: Path) -> None:
    figure = pairs_figure(moments, QUICK, tmp_path)
    assert figure.name == NAMES[3] and figure.value > 0 and figure.goal == 3.5
    assert "of 25 pairs, 80 items" in figure.note and "10 trees" in figure.note


def test_the_overlap_of_two_folders(tmp_path: Path) -> None:
    lists = {"one": ["ab", "cd", "ef"], "other": ["ab", "cx", "yz"]}
    for name, items in lists.items():
        (tmp_path / name).mkdir()
        rows = [(f"u{user}", item) for user, pair in enumerate(items) for item in pair]
        frame = pl.DataFrame(rows, {"user_id": pl.String, "item_id": pl.String}, orient="row")
        frame.write_parquet(tmp_path / name / "part-00000.parquet")
    assert sorted(overlap(tmp_path / "one", tmp_path / "other", 10)) == [0, 0.5, 1]
    assert not equal(tmp_path / "one", tmp_path / "other")
    assert equal(tmp_path / "one", tmp_path / "one")
