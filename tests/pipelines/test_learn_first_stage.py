"""The linear first stage on the toy shop: out of fold where it learned, and the same online as offline."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.candidates.merge import pool_of_frame
from recsys.core import columns as c
from recsys.pipelines.describe import Describer
from recsys.pipelines.learn_first_stage import SERVED, FirstStage, load_first_stage
from recsys.pipelines.models import RERANKERS, columns_of, first_stage_columns
from recsys.pipelines.parity import compare, read_offline, write_snapshot
from recsys.pipelines.path import READS, STAGES, stage_configs
from recsys.pipelines.rows import LOGGED, row_block, rows_name
from recsys.pipelines.settings import RunConfig, load
from recsys.ranking.first_stage import FIRST_STAGE
from recsys.serving.ranker import Ranker
from tests.pipelines.toy_shop import toy_data, toy_run

N = 8
NAMES = ("item_popularity_all", "user_activity", "pair_recent", "interest_click", "interest_click_z")


@pytest.fixture(scope="module")
def config() -> RunConfig:
    over = ("select.by=linear", f"select.n={N}", "variants.default.learn=both")
    return load((*toy_run().overrides, *over))[0]


@pytest.fixture(scope="module")
def stages(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The toy run's folders, and those of the stages that a linear first stage changes."""
    folders = {stage.name: toy_run().stage(stage.name) for stage in STAGES}
    for stage in STAGES:
        if stage.name in ("select", "features", "train-ranker"):
            out = tmp_path_factory.mktemp(stage.name)
            inputs = {name: folders[name] for name in READS[stage.name]}
            stage.work(inputs, stage_configs(config)[stage.name], out)
            folders[stage.name] = out
    return folders


def rows_of(stages: dict[str, Path], name: str = "default") -> pl.DataFrame:
    return pl.read_parquet(stages["select"] / f"{name}.parquet")


def test_what_each_model_reads() -> None:
    names = [*NAMES, *(FIRST_STAGE + model for model in RERANKERS)]
    assert columns_of("full", names) == (*NAMES, FIRST_STAGE + "full")
    assert columns_of("no_interest", names) == (*NAMES[:3], FIRST_STAGE + "no_interest")
    assert columns_of("behaviour_only", names) == (*NAMES[:3], FIRST_STAGE + "behaviour_only")
    assert columns_of("text_only", names) == (*NAMES[3:], FIRST_STAGE + "text_only")
    assert first_stage_columns("full", NAMES) == (NAMES[0], NAMES[2], NAMES[3])
    assert first_stage_columns("behaviour_only", NAMES) == (NAMES[0], NAMES[2])


def test_the_rows_are_the_best_of_the_pool_by_the_score(stages: dict[str, Path]) -> None:
    rows = rows_of(stages)
    assert rows.group_by(c.REQUEST).len()["len"].max() == N
    pool = pl.read_parquet(toy_run().stage("candidates") / "default.parquet")
    assert rows.join(pool, on=[c.REQUEST, c.ITEM], how="anti").height == 0
    assert rows.height < pool.height / 2


def test_scores_are_out_of_fold_where_it_learned_and_whole_elsewhere(
    stages: dict[str, Path], config: RunConfig
) -> None:
    data = toy_data()
    variant = config.variants["default"]
    describe = Describer(stages, data, config.features, 1)
    frame = pl.read_parquet(toy_run().stage("candidates") / "default.parquet")
    pool = pool_of_frame(frame, data.requests[c.REQUEST].to_numpy())
    first = FirstStage(describe, data, variant, pool, config.select.l2)
    written = load_first_stage(stages["select"] / "default.first_stage.json")
    assert set(written) == set(RERANKERS)
    np.testing.assert_array_equal(written[SERVED].weight, first.whole[SERVED].weight)

    rows = rows_of(stages)
    block = row_block(rows, len(data.requests))
    of_row = np.repeat(np.arange(len(data.requests)), np.diff(block.offsets))
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()[of_row]
    names = [n for n in rows.columns if n.startswith(FIRST_STAGE)]
    assert names == [FIRST_STAGE + model for model in RERANKERS]
    features, scores = (
        pl.read_parquet(stages["features"] / f"default.{kind}.parquet") for kind in ("features", "scores")
    )
    wide = pl.concat([features, scores], how="horizontal")
    linear = written["full"]
    whole = linear.score(wide.select(linear.columns).to_numpy())
    found = rows[FIRST_STAGE + "full"].to_numpy()
    learned = window == "rank"
    np.testing.assert_array_equal(found[~learned], whole[~learned])
    assert (found[learned] != whole[learned]).mean() > 0.9


def test_logged_lists_carry_the_scores_too(stages: dict[str, Path]) -> None:
    shown = rows_of(stages, rows_name("default", LOGGED))
    assert shown[FIRST_STAGE + "full"].null_count() == 0
    assert shown[FIRST_STAGE + "full"].n_unique() > 50


def test_online_is_offline_to_the_bit(stages: dict[str, Path], config: RunConfig, tmp_path: Path) -> None:
    offline = read_offline(stages)
    assert FIRST_STAGE + "full" in offline.reranker.columns
    folder = write_snapshot(stages, stage_configs(config)["bundle"], tmp_path / "model")
    for one in compare(Ranker.load(folder, verify=True), offline, most=40):
        assert one.equal, f"request {one.request}: {one.columns}, {one.gap}"


def test_recommend_ranks_the_rows_that_the_first_stage_selects(
    stages: dict[str, Path], config: RunConfig, tmp_path: Path
) -> None:
    folder = write_snapshot(stages, stage_configs(config)["bundle"], tmp_path / "model")
    ranker = Ranker.load(folder)
    user = toy_data().users[c.USER_ID][0]
    answer = ranker.recommend(user, N, at="state", exclude_seen=False)
    assert len(answer.item_ids) == N
    again = ranker.rank(user, answer.item_ids, at="state")
    np.testing.assert_allclose(answer.scores, again.scores, atol=1e-12)
