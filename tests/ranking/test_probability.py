"""Probabilities of a click and a purchase: what they learn, what they hold to, saving and refusing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recsys.core.errors import BundleError, ConfigError
from recsys.metrics.calibration import calibration_error
from recsys.ranking.config import ProbabilityConfig, RerankerConfig
from recsys.ranking.frame import RankFrame
from recsys.ranking.pointwise import train_probabilities
from recsys.ranking.probability import Probabilities

pytest.importorskip("lightgbm")

CONFIG = RerankerConfig(
    num_iterations=60, num_leaves=7, learning_rate=0.2, min_data_in_leaf=20, early_stopping=10, threads=1
)
SIZE, LISTS = 8, 800


def truth(good, position):
    return np.where(good, 0.6, 0.15) / position


def world(seed, lists=LISTS, shuffled=True):
    """A good item is clicked four times as often; a place further down is looked at less; half of the
    clicks on good items are purchases. Good items stand further up."""
    rng = np.random.default_rng(seed)
    good = rng.random((lists, SIZE)) < 0.4
    order = rng.random((lists, SIZE)) - (0.5 * good if shuffled else 0.0)
    position = np.argsort(np.argsort(order, axis=1), axis=1) + 1
    good, position = good.ravel(), position.ravel().astype(np.int16)
    click = rng.random(good.size) < truth(good, position)
    buy = click & good & (rng.random(good.size) < 0.5)
    values = np.column_stack([good, rng.normal(size=good.size)]).astype(np.float32)
    labels = np.where(buy, 3, click).astype(np.uint8)
    return RankFrame(("good", "noise"), values, np.arange(lists + 1) * SIZE, labels, position)


@pytest.fixture(scope="module")
def trained():
    found = train_probabilities(world(0), np.arange(LISTS) % 3, CONFIG, "logged")
    assert found is not None
    return found


def test_promises_are_kept_at_the_place_where_a_row_stood(trained):
    other = world(1)
    chances = trained.predict_frame(other)
    assert calibration_error(chances["p_click"], other.labels >= 1) < 0.03
    assert calibration_error(chances["p_purchase"], other.labels >= 3) < 0.03


def test_what_a_place_earned_is_not_put_down_to_the_item(trained):
    rows = np.array([[1, 0], [0, 0]], np.float32)
    first, last = (trained.predict(rows, np.full(2, place))["p_click"] for place in (1, SIZE))
    assert first == pytest.approx(truth(np.array([True, False]), 1), abs=0.12)
    assert last == pytest.approx(truth(np.array([True, False]), SIZE), abs=0.06)
    assert trained.predict(rows)["p_click"].tolist() == first.tolist()  # the place that is assumed
    deeper = train_probabilities(
        world(0), np.arange(LISTS) % 3, replace(CONFIG, probabilities=ProbabilityConfig(position=SIZE)), ""
    )
    assert deeper.predict(rows)["p_click"].tolist() == last.tolist()


def test_a_purchase_is_never_likelier_than_a_click(trained):
    rng = np.random.default_rng(3)
    chances = trained.predict(rng.normal(size=(500, 2)).astype(np.float32), rng.integers(-1, 9, 500))
    assert (chances["p_purchase"] <= chances["p_click"]).all()
    assert all(((chance >= 0) & (chance <= 1)).all() for chance in chances.values())


def test_a_row_gets_the_same_alone_and_among_others(trained):
    values = world(2, lists=5).values
    together = trained.predict(values)["p_click"]
    assert [trained.predict(values[[i]])["p_click"][0] for i in range(len(values))] == together.tolist()


def test_lists_without_positions_and_outcomes_that_never_were():
    frame = replace(world(0), positions=None, labels=np.minimum(world(0).labels, 1))
    found = train_probabilities(frame, np.arange(LISTS) % 3, CONFIG, "retrieved")
    assert found is not None and found.position is None
    assert set(found.of) == {"p_click"}
    nothing = replace(frame, labels=np.zeros_like(frame.labels))
    assert train_probabilities(nothing, np.arange(LISTS) % 3, CONFIG, "retrieved") is None
    assert train_probabilities(frame, np.zeros(LISTS), CONFIG, "retrieved") is None  # nobody held out


def test_a_draw_of_whole_requests_says_so():
    config = replace(CONFIG, num_iterations=3, probabilities=ProbabilityConfig(max_rows=LISTS * SIZE // 4))
    told = train_probabilities(world(0), np.arange(LISTS) % 3, config, "logged").learned
    assert told["of_requests"] == LISTS
    assert 0.15 * LISTS < told["requests"] < 0.35 * LISTS
    assert told["rows"] == told["requests"] * SIZE
    assert told["kind"] == "logged"


def test_save_and_load(trained, tmp_path):
    assert Probabilities.load(tmp_path) is None
    trained.save(tmp_path)
    again = Probabilities.load(tmp_path)
    assert again == trained
    frame = world(4, lists=20)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(
            again.predict_frame(frame).values(), trained.predict_frame(frame).values(), strict=True
        )
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 9}, "expected format 1; found format 9"),
        ({"columns": ["good"]}, "expected trees of 2 features; found 3"),
        ({"calibration": {"p_click": {"slope": -1, "shift": 0}}}, "rising lines of p_click and p_purchase"),
        ({"learned": None}, "expected an object under 'learned'"),
    ],
)
def test_damaged_folders_are_refused(trained, tmp_path, change, told):
    trained.save(tmp_path)
    path = tmp_path / "probabilities.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BundleError, match=told):
        Probabilities.load(tmp_path)


def test_a_missing_file_of_trees_is_refused(trained, tmp_path):
    trained.save(tmp_path)
    (tmp_path / "p_purchase.txt").unlink()
    with pytest.raises(BundleError, match="p_purchase.txt: expected trees as LightGBM text; found no such"):
        Probabilities.load(tmp_path)


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="ranker.probabilities.position: expected 1 to 32767; found 0"):
        ProbabilityConfig(position=0)


def test_labels_teach_only_the_chances_they_speak_of() -> None:
    found = train_probabilities(world(0), np.arange(LISTS) % 3, CONFIG, "logged", ["p_purchase"])
    assert found is None or set(found.of) == {"p_purchase"}
    clicks = train_probabilities(world(0), np.arange(LISTS) % 3, CONFIG, "logged", ["p_click"])
    assert clicks is not None and set(clicks.of) == {"p_click"}
