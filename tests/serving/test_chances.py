"""Chances of a click and a purchase, in answers and in recommendations, where the bundle has them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import BundleError
from recsys.ranking.calibrate import Calibration, logistic
from recsys.ranking.probability import Probabilities, Probability
from recsys.serving.batch import score_users
from recsys.serving.batch_config import BatchConfig
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.serving.ranker import Ranker
from tests.serving.conftest import trees

ITEMS = [f"i{i}" for i in range(8)]


@pytest.fixture(scope="module")
def model(parts: BundleParts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    of = {
        "p_click": Probability(trees((*parts.columns, "position")), Calibration(0.1, -1.0)),
        "p_purchase": Probability(trees((*parts.columns, "place")), Calibration(0.2, -2.0)),
    }
    chances = Probabilities(parts.columns, 2, of, {"kind": "logged"})
    folder = tmp_path_factory.mktemp("chances") / "model"
    return write_bundle(folder, BundleParts(**{**vars(parts), "probabilities": chances}))


def test_answers_carry_the_chances_of_their_items(model: Path, ranker: Ranker) -> None:
    ours = Ranker.load(model)
    answer, plain = ours.rank("u1", ITEMS, at="state"), ranker.rank("u1", ITEMS, at="state")
    assert answer.item_ids == plain.item_ids
    assert answer.scores.tolist() == plain.scores.tolist()
    assert plain.p_click is None and plain.p_purchase is None
    assert answer.p_click is not None and answer.p_purchase is not None
    values = ours.features("u1", answer.item_ids, at="state")
    wide = np.c_[values, np.full(len(values), 2, np.float32)]
    raw = ours.bundle.probabilities.of["p_click"].trees.predict(wide)  # type: ignore[union-attr]
    assert answer.p_click == pytest.approx(logistic(0.1 * raw - 1.0))
    assert (answer.p_purchase <= answer.p_click).all()
    columns = ["item_id", "score", "rank", "known", "fallback"]
    assert plain.to_polars().columns == columns
    assert answer.to_polars().columns == [*columns[:3], "p_click", "p_purchase", *columns[3:]]


def test_repeated_items_and_short_lists_keep_their_own_chances(model: Path) -> None:
    ranker = Ranker.load(model)
    whole = ranker.rank("u1", ["i0", "i3"], at="state")  # a column may depend on the list
    chance = dict(zip(whole.item_ids, whole.chances["p_click"].tolist(), strict=True))
    some = ranker.rank("u1", ["i3", "i0", "i3"], at="state", k=2)
    assert [chance[item] for item in some.item_ids] == some.chances["p_click"].tolist()
    nothing = ranker.rank("u1", [], at="state")
    assert nothing.p_click is not None and nothing.p_click.shape == (0,)


def test_recommendations_carry_them_too(model: Path, tmp_path: Path) -> None:
    ranker = Ranker.load(model)
    done = score_users(ranker, ["u0", "u1"], tmp_path / "out", BatchConfig(k=3, exclude_seen=False))
    frame = pl.read_parquet(done.folder / "*.parquet")
    assert frame.columns == ["user_id", "rank", "item_id", "score", "model", "p_click", "p_purchase"]
    answer = ranker.recommend("u1", 3, exclude_seen=False, at="state")
    rows = frame.filter(pl.col("user_id") == "u1")
    assert rows["p_click"].to_list() == answer.chances["p_click"].astype("float32").tolist()


def test_a_ranker_without_chances_answers_the_same_and_has_none(model: Path) -> None:
    ours, plain = Ranker.load(model), Ranker.load(model, chances=False)
    assert plain.bundle.probabilities is None
    for with_, without in (
        (ours.rank("u1", ITEMS, at="state"), plain.rank("u1", ITEMS, at="state")),
        (ours.recommend("u1", 3, at="state"), plain.recommend("u1", 3, at="state")),
        (ours.rank("u1", []), plain.rank("u1", [])),
    ):
        assert without.item_ids == with_.item_ids
        assert without.scores.tolist() == with_.scores.tolist()
        assert with_.p_click is not None and without.p_click is None and without.p_purchase is None


def test_an_order_by_value_is_kept_without_chances_in_answers(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "model")
    told = json.loads((folder / "manifest.json").read_text())
    told["rules"]["order_by"] = "value"
    (folder / "manifest.json").write_text(json.dumps(told))
    ours, plain = Ranker.load(folder), Ranker.load(folder, chances=False)
    answer = plain.rank("u1", ITEMS, at="state")
    assert answer.item_ids == ours.rank("u1", ITEMS, at="state").item_ids
    assert answer.item_ids != Ranker.load(model).rank("u1", ITEMS, at="state").item_ids
    assert answer.chances == {}


def test_recommendations_without_chances_are_other_recommendations(model: Path, tmp_path: Path) -> None:
    ours, plain = Ranker.load(model), Ranker.load(model, chances=False)
    bare = ["user_id", "rank", "item_id", "score", "model"]
    whole = pl.read_parquet(
        score_users(ours, ["u0"], tmp_path / "out", BatchConfig(k=3)).folder / "*.parquet"
    )
    for ranker, config in ((plain, BatchConfig(k=3)), (ours, BatchConfig(k=3, chances=False))):
        done = score_users(ranker, ["u0"], tmp_path / "out", config)  # in the place of those with chances
        assert done.written == 1
        frame = pl.read_parquet(done.folder / "*.parquet")
        assert frame.columns == bare
        assert frame.equals(whole.select(bare))


def test_probabilities_of_other_columns_are_refused(
    model: Path, bundle_with: Callable[..., Path], tmp_path: Path
) -> None:
    other = bundle_with()
    for name in ("probabilities.json", "p_click.txt", "p_purchase.txt"):
        shutil.copy(model / "ranker" / name, other / "ranker" / name)
    Ranker.load(other)
    path = other / "ranker" / "probabilities.json"
    path.write_text(path.read_text().replace('"ctx_hour"', '"ctx_day"'))
    with pytest.raises(BundleError, match="the columns of the bundle's trees; found .*ctx_day"):
        Ranker.load(other)
