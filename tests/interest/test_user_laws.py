"""The user tower by hand, and laws of its kernel: bounds of reading, ties of time, missing vectors."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.errors import BundleError
from recsys.interest.user import (
    UserTower,
    dot,
    has_vector,
    load_user_tower,
    mean_vector,
    to_unit,
    user_vectors,
)
from tests.interest.conftest import World, random_tower, unit_rows

pytestmark = pytest.mark.kernel


def run(tower: UserTower, vectors: np.ndarray, items: list[int], **given_: list[int]) -> np.ndarray:
    n = len(items)
    kinds = np.array(given_.get("kinds", [1] * n), np.int8)
    times = np.array(given_.get("times", list(range(n, 0, -1))), np.int64)
    out = np.full((2, vectors.shape[1]), np.nan, np.float32)
    user_vectors(tower, vectors, n, np.array(items, np.int32), kinds, times, out)
    return out


def world_of(dims: int = 6, items: int = 8) -> tuple[UserTower, np.ndarray]:
    rng = np.random.default_rng(0)
    return random_tower(rng, dims), unit_rows(rng, items, dims)


def test_two_events_by_hand() -> None:
    """One query along x with a bias of log 3 for purchases: weights 3 e : 1, then the head's mix."""
    dims = 2
    tower = UserTower(
        np.array([[1, 0]], np.float32), np.array([[0, 0, 0, np.log(3), 0, 0]], np.float32),
        np.zeros((1, 4), np.float32), np.zeros((1, 9), np.float32), np.array([[1], [-1]], np.float32),
        np.zeros((1, dims), np.float32), np.zeros((2, 1, dims), np.float32), np.zeros((2, dims), np.float32),
        np.ones(2, np.float32), np.arange(1, 8, dtype=np.int64), 50, False,
    )  # fmt: skip
    vectors = np.eye(2, dtype=np.float32)
    user = run(tower, vectors, [0, 1], kinds=[3, 1])
    pooled = np.array([3 * np.e, 1.0])
    assert user[0] == pytest.approx(pooled / np.linalg.norm(pooled), abs=1e-6)
    assert user[1] == pytest.approx(-user[0])


def test_order_and_gap_biases_by_hand() -> None:
    edges = np.array([10, 100, 1000, 10**4, 10**5, 10**6, 10**7], np.int64)
    order, gap = np.zeros((1, 3), np.float32), np.zeros((1, 9), np.float32)
    order[0, 2], gap[0, 2] = np.log(4), np.log(5)
    tower = UserTower(
        np.zeros((1, 3), np.float32), np.zeros((1, 6), np.float32), order, gap, np.ones((2, 1), np.float32),
        np.zeros((1, 3), np.float32), np.zeros((2, 1, 3), np.float32), np.zeros((2, 3), np.float32),
        np.ones(2, np.float32), edges, 50, True,
    )  # fmt: skip
    vectors = np.eye(3, dtype=np.float32)
    # gaps 0 (none), 50 (bucket 2), 5 (bucket 1); the third event has the third order bias
    user = run(tower, vectors, [0, 1, 2], times=[200, 150, 145])[0]
    weights = np.array([1.0, 5.0, 4.0])
    assert user == pytest.approx(weights / np.linalg.norm(weights), abs=1e-6)
    blind = run(tower._replace(clock=False), vectors, [0, 1, 2], times=[200, 150, 145])[0]
    weights = np.array([1.0, 1.0, 4.0])
    assert blind == pytest.approx(weights / np.linalg.norm(weights), abs=1e-6)


def test_events_beyond_the_last_place_share_its_bias() -> None:
    tower, vectors = world_of()
    long = list(range(8)) * 2
    wide = tower._replace(
        order_bias=np.concatenate([tower.order_bias, np.repeat(tower.order_bias[:, -1:], 20, axis=1)], axis=1)
    )
    assert run(tower, vectors, long).tobytes() == run(wide, vectors, long).tobytes()


def test_an_empty_history_gives_the_prior_and_only_that() -> None:
    tower, vectors = world_of()
    assert run(tower, vectors, []).tobytes() == tower.prior.tobytes()
    assert run(tower, vectors, [-1, -1]).tobytes() == tower.prior.tobytes()
    assert run(tower, vectors, [99]).tobytes() == tower.prior.tobytes(), "a code beyond the table"
    assert not np.allclose(run(tower, vectors, [2]), tower.prior)


def test_what_is_older_than_the_limit_does_not_count() -> None:
    tower, vectors = world_of()
    short = tower._replace(read_history=3)
    whole = run(short, vectors, [1, 2, 3, 4, 5])
    assert whole.tobytes() == run(short, vectors, [1, 2, 3]).tobytes()
    assert whole.tobytes() == run(short, vectors, [1, 2, 3, 7, 0]).tobytes()
    assert not np.allclose(whole, run(tower, vectors, [1, 2, 3, 4, 5]))


def test_moving_the_clock_moves_nothing() -> None:
    tower, vectors = world_of()
    times = [10**15, 10**15 - 10**9, 10**15 - 2 * 10**12]
    one = run(tower, vectors, [1, 2, 3], times=times)
    other = run(tower, vectors, [1, 2, 3], times=[t - 10**14 for t in times])
    assert one.tobytes() == other.tobytes()


def test_vectors_of_items_outside_the_history_do_not_matter() -> None:
    tower, vectors = world_of()
    changed = vectors.copy()
    changed[[0, 4, 5, 6, 7]] = np.nan
    assert run(tower, vectors, [1, 2, 3]).tobytes() == run(tower, changed, [1, 2, 3]).tobytes()


@given(st.lists(st.integers(-1, 9), max_size=12))
@settings(deadline=None, max_examples=40)
def test_a_user_has_length_one_whatever_the_history(items: list[int]) -> None:
    tower, vectors = world_of()
    user = run(tower, vectors, items)
    assert np.isfinite(user).all()
    if any(0 <= item < 8 for item in items):
        assert np.linalg.norm(user, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
    else:
        assert np.array_equal(user, tower.prior)


def test_great_logits_do_not_overflow() -> None:
    tower, vectors = world_of()
    loud = tower._replace(kind_bias=tower.kind_bias + np.float32(1e4))
    assert np.isfinite(run(loud, vectors, [1, 2, 3])).all()
    assert np.allclose(run(loud, vectors, [1, 2, 3]), run(tower, vectors, [1, 2, 3]), atol=1e-2)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=70))
@settings(deadline=None, max_examples=40)
def test_dot_is_exact_on_whole_numbers(values: list[int]) -> None:
    a = np.array(values, np.float32)
    b = a[::-1].copy()
    scratch = np.full(len(values), np.nan, np.float32)
    assert dot(a, b, scratch) == float(sum(x * y for x, y in zip(values, values[::-1], strict=True)))


def test_has_vector_knows_bounds_and_nan() -> None:
    vectors = np.array([[1, 2], [np.nan, np.nan]], np.float32)
    assert [bool(has_vector(vectors, i)) for i in (-1, 0, 1, 2)] == [False, True, False, False]


def test_to_unit_keeps_zero_and_direction() -> None:
    scratch = np.empty(2, np.float32)
    vector = np.array([3, -4], np.float32)
    to_unit(vector, scratch)
    assert vector == pytest.approx([0.6, -0.8])
    zero = np.zeros(2, np.float32)
    to_unit(zero, scratch)
    assert zero.tolist() == [0.0, 0.0]


def test_the_mean_counts_repeats_and_forgets_order() -> None:
    vectors = np.eye(3, dtype=np.float32)
    out = [np.empty(3, np.float32) for _ in range(2)]
    assert mean_vector(vectors, 3, np.array([0, 0, 1], np.int32), out[0])
    assert mean_vector(vectors, 3, np.array([1, 0, 0], np.int32), out[1])
    assert out[0] == pytest.approx(np.array([2, 1, 0]) / np.sqrt(5))
    assert out[0].tobytes() == out[1].tobytes()


def test_a_batch_is_its_users_one_by_one(world: World) -> None:
    tables = [world.view(r) for r in range(len(world.users))]
    before = [run_view(world, view) for view in tables]
    after = [run_view(world, view) for view in reversed(tables)]
    assert before == after[::-1]


def run_view(world: World, view: object) -> bytes:
    out = np.empty((2, 21), np.float32)
    user_vectors(world.tower, world.tuned, view.n, view.items, view.kinds, view.times, out)  # type: ignore[attr-defined]
    return out.tobytes()


def _save(tower: UserTower, folder: Path, **changes: object) -> None:
    arrays = {name: value for name, value in tower._asdict().items() if name != "clock"} | changes
    np.savez(folder / "user_tower.npz", **{k: v for k, v in arrays.items() if v is not None})  # type: ignore[arg-type]


def test_a_saved_tower_comes_back_and_reads_at_most_what_is_kept(tmp_path: Path) -> None:
    tower, vectors = world_of()
    _save(tower, tmp_path, read_history=np.int64(500))
    loaded = load_user_tower(tmp_path, clock=True)
    assert loaded.read_history == 50, "no ring holds more"
    assert run(loaded, vectors, [1, 2]).tobytes() == run(tower, vectors, [1, 2]).tobytes()
    assert load_user_tower(tmp_path, clock=False).clock is False


@pytest.mark.parametrize("absent", ["mix", "prior", "gap_edges", "read_history", "scale"])
def test_each_missing_array_is_named(absent: str, tmp_path: Path) -> None:
    tower, _ = world_of()
    _save(tower, tmp_path, **{absent: None})
    with pytest.raises(BundleError, match=f"user_tower.npz: .* found no {absent}. Train the encoder again"):
        load_user_tower(tmp_path, clock=True)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("query", np.zeros(4, np.float32)),
        ("query", np.zeros((1, 7), np.float32)),
        ("kind_bias", np.zeros((1, 1), np.float32)),
        ("gap_bias", np.zeros((9, 1), np.float32)),
        ("prior", np.zeros((1, 1), np.float32)),
        ("scale", np.ones(5, np.float32)),
        ("up", np.zeros((1, 1, 1), np.float64)),
        ("gap_edges", np.zeros(7, np.float32)),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(name: str, wrong: np.ndarray, tmp_path: Path) -> None:
    """Compiled code would read beyond their ends."""
    tower, _ = world_of()
    _save(tower, tmp_path, **{name: wrong})
    with pytest.raises(BundleError, match=r"in .*user_tower.npz: expected an array of .*; found .*shape"):
        load_user_tower(tmp_path, clock=True)


def test_a_history_that_is_no_number_is_refused(tmp_path: Path) -> None:
    tower, _ = world_of()
    _save(tower, tmp_path, read_history=np.array(["many"]))
    with pytest.raises(BundleError, match="user_tower.npz: expected a whole number under read_history"):
        load_user_tower(tmp_path, clock=True)
