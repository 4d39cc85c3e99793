"""Interest columns worked out by hand, and laws: order of candidates, unrelated users, missing vectors."""

import math

import numpy as np
import pytest

from recsys.core.columns import CLICK
from recsys.core.log import HISTORY, RowBlock, View, heads, make_log, prefix
from recsys.interest import score
from recsys.interest.score import (
    INTEREST_COLUMNS,
    catalogue_scores,
    query_vectors,
    score_rows,
    score_view,
)
from recsys.interest.user import UserTower, user_vectors
from tests.interest.conftest import World

pytestmark = pytest.mark.kernel
NAN = float("nan")


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def rank(values: np.ndarray) -> list[float]:
    out = np.empty_like(values)
    score._rank(values, out)
    return out.tolist()


def z(values: np.ndarray) -> list[float]:
    out = np.empty_like(values)
    score._z_score(values, out)
    return out.tolist()


def plain_tower(dims: int) -> UserTower:
    """The untrained tower: a user is the mean of the history, an empty one likes the first dimension."""
    zeros = np.zeros
    return UserTower(
        zeros((1, dims), np.float32), zeros((1, 6), np.float32), zeros((1, 3), np.float32),
        zeros((1, 9), np.float32), np.ones((2, 1), np.float32), zeros((1, dims), np.float32),
        zeros((2, 1, dims), np.float32), np.eye(2, dims, dtype=np.float32), np.ones(2, np.float32),
        np.arange(1, 8, dtype=np.int64), 50, True,
    )  # fmt: skip


def view_of(*items: int) -> View:
    full = np.full(HISTORY, -1, np.int32)
    full[: len(items)] = items
    kinds, times = np.full(HISTORY, CLICK, np.int8), np.arange(HISTORY, 0, -1).astype(np.int64)
    return View(0, 10**15, len(items), full, kinds, times)


def columns(out: np.ndarray, name: str) -> np.ndarray:
    return out[:, INTEREST_COLUMNS.index(name)]


@pytest.mark.parametrize(
    ("values", "ranks"),
    [
        ([], []),
        ([0.5], [1]),
        ([0.1, 0.9, 0.5], [3, 1, 2]),
        ([0.5, 0.9, 0.5, 0.1], [2, 1, 2, 4]),  # a tie shares the better rank and the next is skipped
        ([0.0, -0.0], [1, 1]),
        ([-1, -2, -3], [1, 2, 3]),
    ],
)
def test_ranks_by_hand(values: list[float], ranks: list[float]) -> None:
    assert rank(floats(*values)) == ranks


def test_what_has_no_score_has_no_rank_and_takes_none() -> None:
    got = rank(floats(NAN, 0.2, NAN, 0.7))
    assert math.isnan(got[0]) and math.isnan(got[2])
    assert (got[1], got[3]) == (2.0, 1.0)
    assert all(math.isnan(r) for r in rank(floats(NAN, NAN)))


def test_z_scores_by_hand() -> None:
    # mean 2, population deviation sqrt(2 / 3)
    assert z(floats(1, 2, 3)) == pytest.approx([-math.sqrt(1.5), 0.0, math.sqrt(1.5)], abs=1e-6)
    got = z(floats(1, NAN, 3))
    assert got[0] == pytest.approx(-1.0) and got[2] == pytest.approx(1.0) and math.isnan(got[1])
    assert z(floats(4, 4, 4)) == [0.0, 0.0, 0.0]
    assert z(floats(0.3)) == [0.0]
    assert all(math.isnan(v) for v in z(floats(NAN, NAN)))


def test_z_scores_have_mean_zero_and_deviation_one_and_ignore_scale() -> None:
    values = np.random.default_rng(0).normal(size=40).astype(np.float32)
    got = np.array(z(values))
    assert got.mean() == pytest.approx(0.0, abs=1e-6)
    assert got.std() == pytest.approx(1.0, abs=1e-6)
    assert np.allclose(z(values * 8 + 2), got, atol=1e-5)
    assert rank(values) == (1 + (values[None, :] > values[:, None]).sum(1)).tolist()


def test_a_whole_answer_by_hand() -> None:
    """Items: 0 along x, 1 along y, 2 between them, 3 against x. The user saw 0 after 1."""
    half = math.sqrt(0.5)
    vectors = np.array([[1, 0], [0, 1], [half, half], [-1, 0]], np.float32)
    out = score_view(plain_tower(2), vectors, vectors, view_of(0, 1), np.array([2, 0, 3], np.int32))
    assert columns(out, "interest_click") == pytest.approx([1.0, half, -half], abs=1e-6)
    assert columns(out, "interest_purchase") == pytest.approx(columns(out, "interest_click"))
    assert columns(out, "interest_click_rank").tolist() == [1.0, 2.0, 3.0]
    scores = np.array([1.0, half, -half])
    assert columns(out, "interest_click_z") == pytest.approx((scores - scores.mean()) / scores.std())
    assert columns(out, "text_similarity_mean") == pytest.approx([1.0, half, -half], abs=1e-6)
    assert columns(out, "text_similarity_last") == pytest.approx([half, 1.0, -1.0], abs=1e-6)
    assert columns(out, "text_similarity_max") == pytest.approx([half, 1.0, 0.0], abs=1e-6)


def test_an_empty_history_likes_what_the_prior_likes() -> None:
    vectors = np.array([[0.6, 0.8], [1.0, 0.0]], np.float32)
    out = score_view(plain_tower(2), vectors, vectors, view_of(), np.array([0, 1], np.int32))
    assert columns(out, "interest_click") == pytest.approx([0.6, 1.0])
    assert columns(out, "interest_purchase") == pytest.approx([0.8, 0.0])
    assert columns(out, "interest_purchase_rank").tolist() == [1.0, 2.0]
    assert np.isnan(out[:, 6:]).all()


def test_similarity_looks_ten_events_back_and_no_further() -> None:
    vectors = np.eye(2, dtype=np.float32)
    ten = view_of(*[0] * 9, 1)
    eleven = view_of(*[0] * 10, 1)
    asked = np.array([1], np.int32)
    assert columns(score_view(plain_tower(2), vectors, vectors, ten, asked), "text_similarity_max")[0] == 1.0
    assert columns(score_view(plain_tower(2), vectors, vectors, eleven, asked), "text_similarity_max")[0] == 0


def test_the_last_event_is_the_last_one_with_a_vector() -> None:
    vectors = np.array([[NAN, NAN], [0, 1], [1, 0]], np.float32)
    out = score_view(plain_tower(2), vectors, vectors, view_of(0, 1, 2), np.array([1, 2, 0], np.int32))
    assert columns(out, "text_similarity_last")[:2].tolist() == [1.0, 0.0]
    assert np.isnan(out[2]).all(), "an item without a vector has no column"


def test_the_greatest_similarity_may_be_negative() -> None:
    vectors = np.array([[1, 0], [-1, 0]], np.float32)
    out = score_view(plain_tower(2), vectors, vectors, view_of(0, 0), np.array([1], np.int32))
    assert columns(out, "text_similarity_max")[0] == -1.0


def test_candidates_in_another_order_get_the_same_columns(world: World) -> None:
    request = int(np.argmax(np.diff(world.rows.offsets)))
    items = np.unique(world.candidates(request))
    mix = np.random.default_rng(1).permutation(len(items))
    one = score_view(world.tower, world.tuned, world.raw, world.view(request), items)
    other = score_view(world.tower, world.tuned, world.raw, world.view(request), items[mix])
    exact = [0, 1, 2, 3, 6, 7, 8]
    assert np.array_equal(one[mix][:, exact], other[:, exact], equal_nan=True)
    assert np.allclose(one[mix], other, atol=1e-5, equal_nan=True)


def test_unrelated_users_change_no_bit(world: World) -> None:
    log = world.log
    others = make_log(
        np.r_[log.user, np.full(200, 99)], np.r_[log.item, np.arange(200) % 50],
        np.r_[log.time, np.linspace(0, log.time[-1], 200).astype(np.int64)],
        np.r_[log.kind, np.full(200, CLICK)],
    )  # fmt: skip
    users = np.arange(30, dtype=np.int32)
    rows = RowBlock(np.arange(31, dtype=np.int64) * 5, np.tile(np.arange(5, dtype=np.int32), 30))
    found = [
        score_rows(
            world.tower, world.tuned, world.raw, each, heads(each, users, np.full(30, len(each.user))), rows
        )
        for each in (log, others)
    ]
    assert found[0].tobytes() == found[1].tobytes()


def test_what_comes_later_changes_no_bit(world: World) -> None:
    whole = score_rows(world.tower, world.tuned, world.raw, world.log, world.heads, world.rows)
    short = prefix(world.log, int(world.visible.max()))
    again = score_rows(world.tower, world.tuned, world.raw, short, world.heads, world.rows)
    assert whole.tobytes() == again.tobytes()


def test_chunks_do_not_show(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score_rows(world.tower, world.tuned, world.raw, world.log, world.heads, world.rows)
    monkeypatch.setattr(score, "_CHUNK", 7)
    again = score_rows(world.tower, world.tuned, world.raw, world.log, world.heads, world.rows)
    assert whole.tobytes() == again.tobytes()


def test_no_requests_no_rows(world: World) -> None:
    nothing = RowBlock(np.zeros(1, np.int64), np.empty(0, np.int32))
    none = np.empty(0, np.int64)
    assert score_rows(world.tower, world.tuned, world.raw, world.log, none, nothing).shape == (0, 9)
    assert query_vectors(world.tower, world.tuned, world.log, none).shape == (0, 21)


def test_query_vectors_are_the_click_heads(world: World) -> None:
    queries = query_vectors(world.tower, world.tuned, world.log, world.heads)
    assert queries.dtype == np.float32
    for request in range(len(world.users)):
        view, out = world.view(request), np.empty((2, 21), np.float32)
        user_vectors(world.tower, world.tuned, view.n, view.items, view.kinds, view.times, out)
        assert queries[request].tobytes() == out[0].tobytes()
        alone = query_vectors(world.tower, world.tuned, world.log, world.heads[request : request + 1])
        assert alone[0].tobytes() == out[0].tobytes()
    empty = world.heads < 0
    assert empty.any()
    assert np.array_equal(queries[empty], np.tile(world.tower.prior[0], (int(empty.sum()), 1)))


def test_a_query_ranks_the_catalogue_as_its_scores_do(world: World) -> None:
    encoder = catalogue_scores(world.tower, world.tuned, world.log, world.heads)
    queries = query_vectors(world.tower, world.tuned, world.log, world.heads)
    known = np.arange(50) != 7
    assert np.allclose(encoder[:, known], queries @ world.tuned[known].T, atol=1e-5)
    assert np.isnan(encoder[:, 7]).all()


def test_extra_vectors_are_read_for_unknown_items_alone(world: World) -> None:
    items = np.array([3, -1, 7], np.int32)  # known, unknown, known without a vector
    extra = np.tile(world.tuned[9], (3, 1))
    view = world.view(int(np.argmax(world.heads)))
    out = score_view(world.tower, world.tuned, world.raw, view, items, extra, extra)
    plain = score_view(world.tower, world.tuned, world.raw, view, items)
    assert out[0, 0] == plain[0, 0], "a stored vector goes before one encoded on the spot"
    assert np.isfinite(out[1]).all()
    assert np.isnan(out[2]).all()
