"""From predictions to values a request: against the definitions, and what may not matter."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import ConfigError, DataError
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.measure import measure
from recsys.evaluation.per_request import metric_columns, request_metrics, take
from recsys.evaluation.ranks import MID_RANK, missed_rank, true_ranks, with_mid_rank
from recsys.evaluation.true_preference import true_preference_ndcg
from recsys.metrics.ranking import lists, per_request, positives
from tests.evaluation.worlds import predictions_of, requests_of, truth_of

GAINS = np.array([0.0, 1.0, 3.0, 10.0])
CONFIG = EvaluationConfig(metrics=("ndcg", "recall", "precision", "hit_rate", "map", "mrr", "mean_rr", "auc"))
N_ITEMS = 12


def world(seed: int, n: int = 8, listed: int = 7) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Lists of 7 of 12 items with tied scores, and true items in and out of them."""
    rng = np.random.default_rng(seed)
    rows = [
        (r, int(i), float(rng.integers(0, 4)))
        for r in range(n)
        for i in rng.choice(N_ITEMS, listed, replace=False)
    ]
    true = [
        (r, int(i), int(rng.integers(0, 4))) for r in range(n) for i in rng.choice(N_ITEMS, 3, replace=False)
    ]
    return (
        predictions_of(rows),
        truth_of([*true, (0, 11, 3)]).unique(["request", "item"]),
        requests_of(n, n_catalogue=N_ITEMS),
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_tables_give_what_the_metrics_give_for_plain_lists(seed: int) -> None:
    predictions, truth, requests = world(seed)
    measured = measure(predictions, truth, requests, CONFIG)[0]
    for place, r in enumerate(measured.rows):
        mine = predictions.filter(pl.col("request") == r)
        true = {i: GAINS[k] for _, i, k in truth.filter(pl.col("request") == r, pl.col("label") > 0).rows()}
        gains = [true.get(i, 0.0) for i in mine["item"]]
        missing = [gain for item, gain in true.items() if item not in set(mine["item"])]
        data = lists(
            np.array([0, len(mine)]),
            mine["score"].to_numpy(),
            np.array(gains),
            np.array([N_ITEMS]),
            np.array([0, len(missing)]),
            np.array(missing, float),
        )
        expected = [per_request(positives(data), metric, k)[0] for metric, k in measured.columns]
        assert measured.values[place] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_new_names_for_items_change_nothing(seed: int) -> None:
    predictions, truth, requests = world(seed)
    other = np.random.default_rng(9).permutation(N_ITEMS)
    renamed = [
        f.with_columns(item=pl.Series(other[f["item"].to_numpy()], dtype=pl.Int32))
        for f in (predictions, truth)
    ]
    one = measure(predictions, truth, requests, CONFIG)[0]
    two = measure(renamed[0], renamed[1], requests, CONFIG)[0]
    np.testing.assert_allclose(one.values, two.values)


@pytest.mark.parametrize("shift", [(1.0, 5.0), (100.0, 0.0)])
def test_only_the_order_of_scores_counts(shift: tuple[float, float]) -> None:
    predictions, truth, requests = world(1)
    moved = predictions.with_columns((pl.col("score") * shift[0] + shift[1]).cast(pl.Float32))
    one, two = (measure(p, truth, requests, CONFIG)[0] for p in (predictions, moved))
    np.testing.assert_array_equal(one.values, two.values)


def test_a_perfect_list_has_one_everywhere_and_a_missing_request_next_to_nothing() -> None:
    truth = truth_of([(0, 3, 3), (0, 5, 1), (1, 4, 3)])
    predictions = predictions_of([(0, 3, 9.0), (0, 5, 8.0), (0, 1, 1.0)])
    found = measure(predictions, truth, requests_of(2, n_catalogue=N_ITEMS), CONFIG)[0]
    value = {column: found.values[:, c] for c, column in enumerate(found.columns)}
    for metric in ("ndcg", "recall", "hit_rate", "map"):
        assert value[metric, 5].tolist() == [1.0, 0.0]
    assert value["mrr", 0].tolist() == [1.0, pytest.approx(1 / 6.5)]  # the middle of twelve
    assert value["auc", 0].tolist() == [1.0, 0.5]


def test_moving_a_true_item_up_never_hurts() -> None:
    truth, requests = truth_of([(0, 4, 3), (0, 7, 1)]), requests_of(1, n_catalogue=N_ITEMS)
    before = None
    for score in np.arange(-0.5, N_ITEMS + 1):
        rows = [(0, i, float(i)) for i in range(N_ITEMS) if i != 4] + [(0, 4, float(score))]
        now = measure(predictions_of(rows), truth, requests, CONFIG)[0].values[0]
        assert before is None or (now >= before - 1e-12).all()
        before = now


@pytest.mark.parametrize("seed", range(5))
def test_a_slice_is_measured_as_if_the_others_did_not_exist(seed: int) -> None:
    predictions, truth, _ = world(seed)
    n = 8
    ranks = true_ranks(predictions, truth, np.full(n, N_ITEMS))
    keep = np.random.default_rng(seed).random(len(ranks.row)) < 0.6
    columns = (("mrr", 0), ("ndcg", 10), ("auc", 0))
    taken, found = request_metrics(take(ranks, keep), GAINS, columns)
    gone = {(int(r), int(i)) for r, i in zip(ranks.request[~keep], ranks.item[~keep], strict=True)}
    outside = ~pl.struct("request", "item").map_elements(
        lambda row: (row["request"], row["item"]) in gone, return_dtype=pl.Boolean
    )
    competing = N_ITEMS - np.bincount([r for r, _ in gone], minlength=n)
    rest = true_ranks(predictions.filter(outside), truth.filter(outside), competing)
    again, expected = request_metrics(rest, GAINS, columns)
    assert taken.tolist() == again.tolist()
    listed = ranks.found[keep]
    both = np.isin(taken, ranks.request[keep][~listed], invert=True)  # the mid rank of what is missed
    np.testing.assert_allclose(found[both], expected[both])
    assert both.any()


def test_a_slice_of_all_is_all_and_of_none_is_nothing() -> None:
    predictions, truth, requests = world(0)
    everything, none = np.ones(len(truth), bool), np.zeros(len(truth), bool)
    found = measure(predictions, truth, requests, CONFIG, slices={"a:b": everything, "c:d": none})
    assert [one.slice for one in found] == ["all", "a:b"]
    assert found[1].columns == (("ndcg", 10),)
    assert found[1].values[:, 0].tolist() == found[0].values[:, found[0].columns.index(("ndcg", 10))].tolist()


def test_mid_ranks_of_nulls_nan_and_ties() -> None:
    frame = predictions_of([(0, 0, 1.0), (0, 1, float("nan")), (0, 2, 1.0), (0, 3, None), (1, 0, 5.0)])
    assert with_mid_rank(frame)[MID_RANK].to_list() == [1.5, 3.5, 1.5, 3.5, 1.0]
    given = frame.with_columns(pl.Series(MID_RANK, [7.0, None, None, None, None]))
    assert with_mid_rank(given)[MID_RANK].to_list() == [7.0, 3.5, 1.5, 3.5, 1.0]


@pytest.mark.parametrize(
    ("listed", "competing", "rank"), [(0, 1, 1.0), (0, 9, 5.0), (4, 5, 5.0), (4, 8, 6.5), (5, 5, 6.0)]
)
def test_what_is_missed_stands_in_the_middle_of_the_rest(listed: int, competing: int, rank: float) -> None:
    assert missed_rank(np.array([listed]), np.array([competing])).tolist() == [rank]


def test_windows_and_models_are_measured_apart() -> None:
    predictions, truth, requests = world(2)
    requests = requests_of(8, ["valid"] * 3 + ["test"] * 5, N_ITEMS)
    other = predictions.filter(pl.col("request") >= 3).with_columns(model=pl.lit("late"))
    found = measure([predictions, other], truth, requests, CONFIG)
    assert [(one.model, one.window) for one in found] == [
        ("full", "valid"),
        ("full", "test"),
        ("late", "test"),
    ]
    assert (found[0].rows < 3).all() and (found[1].rows >= 3).all()
    np.testing.assert_array_equal(found[1].values, found[2].values)


def test_metric_columns_have_depths_where_there_are_any() -> None:
    assert metric_columns(("auc", "ndcg", "mrr"), (5, 10)) == (
        ("auc", 0),
        ("ndcg", 5),
        ("ndcg", 10),
        ("mrr", 0),
    )
    assert metric_columns((), (5,)) == ()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"metrics": ("ndgc",)}, "evaluation.metrics: expected one of ndcg, .*; found 'ndgc'"),
        ({"main_k": 7}, "main_metric and main_k: expected one of the metrics .*; found ndcg at 7"),
        ({"main_metric": "map", "metrics": ("ndcg",)}, "found map at 10. Add it to evaluation.metrics"),
    ],
)
def test_what_cannot_be_measured_is_named(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        EvaluationConfig(**changes)  # type: ignore[arg-type]


def test_tables_that_do_not_fit_are_named() -> None:
    predictions, truth, requests = world(0)
    with pytest.raises(
        DataError, match="requests table: expected its rows in the order of the request codes"
    ):
        measure(predictions, truth, requests.reverse(), CONFIG)
    with pytest.raises(
        DataError, match=f"slice x:y: expected one value for each of the {len(truth)}.*found 2 values"
    ):
        measure(predictions, truth, requests, CONFIG, slices={"x:y": np.ones(2, bool)})
    with pytest.raises(DataError, match="at least one row with a label above 0; found none"):
        measure(predictions, truth.with_columns(label=pl.lit(0, pl.UInt8)), requests, CONFIG)


def test_the_true_preference_is_one_only_for_the_best_order() -> None:
    gains = np.array([[0.1, 0.9, 0.0, 0.5]])
    assert true_preference_ndcg(np.array([[1, 3, 0]]), gains, 3)[0] == pytest.approx(1.0)
    swapped = true_preference_ndcg(np.array([[3, 1, 0]]), gains, 3)[0]
    short = true_preference_ndcg(np.array([[1, -1, -1]]), gains, 3)[0]
    assert short < swapped < 1.0
    log3 = np.log2(3)
    assert short == pytest.approx(0.9 / (0.9 + 0.5 / log3 + 0.1 / 2))
    assert swapped == pytest.approx((0.5 + 0.9 / log3 + 0.05) / (0.9 + 0.5 / log3 + 0.05))


@pytest.mark.parametrize("bad", [np.nan, -np.inf, -3.0])
def test_what_could_not_be_had_is_worth_nothing(bad: float) -> None:
    lists_ = np.array([[0, 1]])
    with_bad, without = np.array([[bad, 1.0, 2.0]]), np.array([[0.0, 1.0, 2.0]])
    assert true_preference_ndcg(lists_, with_bad, 2)[0] == true_preference_ndcg(lists_, without, 2)[0]
    assert np.isnan(true_preference_ndcg(lists_, np.full((1, 3), bad), 2)[0])


@pytest.mark.parametrize("k", [1, 2, 5, 50])
def test_no_list_beats_the_best_k(k: int) -> None:
    rng = np.random.default_rng(k)
    gains = rng.random((40, 9))
    found = true_preference_ndcg(np.argsort(rng.random((40, 9)), axis=1), gains, k)
    best = true_preference_ndcg(np.argsort(-gains, axis=1), gains, k)
    assert ((found > 0) & (found <= 1 + 1e-12)).all()
    np.testing.assert_allclose(best, 1.0)


def test_the_true_preference_is_a_last_column_over_every_request_of_the_window() -> None:
    predictions, truth, requests = world(3)
    only = truth.filter(pl.col("request") < 2)
    config = replace(CONFIG, metrics=("ndcg",), ks=(10,))

    def preference(rows: np.ndarray) -> np.ndarray:
        return np.tile(np.arange(N_ITEMS, dtype=float), (len(rows), 1)) + rows[:, None]

    found = measure(predictions, only, requests, config, preference=preference)[0]
    assert found.columns == (("ndcg", 10), ("ndcg_true", 10))
    assert found.rows.tolist() == list(range(8))
    assert np.isnan(found.values[2:, 0]).all() and np.isfinite(found.values[:, 1]).all()
    for r in range(8):
        top = predictions.filter(pl.col("request") == r).sort("rank")["item"].to_numpy()[None, :10]
        expected = true_preference_ndcg(top, preference(np.array([r])), 10)[0]
        assert found.values[r, 1] == pytest.approx(expected)
