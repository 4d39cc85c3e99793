"""Laws of length batches, gap buckets, seeding and the progress bar."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.gaps import GAP_EDGES, N_GAPS, gap_bucket, gap_edges
from recsys.core.length_batches import length_batches
from recsys.core.progress import track
from recsys.core.seeding import seed_everything

LENGTHS = st.lists(st.integers(0, 70), max_size=60)


@given(LENGTHS, st.integers(1, 200))
def test_batches_part_the_texts_and_keep_the_budget(lengths: list[int], budget: int) -> None:
    batches = length_batches(np.array(lengths, np.int64), budget)
    assert sorted(np.concatenate([np.empty(0, np.int64), *batches]).tolist()) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


@given(LENGTHS, st.integers(1, 200))
def test_batches_go_from_long_to_short_and_ties_keep_their_order(lengths: list[int], budget: int) -> None:
    flat = [int(i) for batch in length_batches(np.array(lengths, np.int64), budget) for i in batch]
    assert flat == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


@given(LENGTHS, st.integers(1, 100))
def test_no_batch_could_have_taken_the_next_text(lengths: list[int], budget: int) -> None:
    batches = length_batches(np.array(lengths, np.int64), budget)
    for batch in batches[:-1]:
        longest = max(1, lengths[batch[0]])
        assert (len(batch) + 1) * longest > budget


def test_a_text_above_the_budget_goes_alone() -> None:
    assert [b.tolist() for b in length_batches(np.array([3, 50, 3]), 10)] == [[1], [0, 2]]
    assert length_batches(np.array([], np.int64), 10) == []


@pytest.mark.kernel
@given(st.integers(0, 10**14), st.integers(0, 10**14))
@settings(deadline=None)
def test_a_longer_gap_never_has_a_lower_bucket(one: int, other: int) -> None:
    edges = gap_edges()
    low, high = sorted((one, other))
    a, b = gap_bucket(edges, low), gap_bucket(edges, high)
    assert 1 <= a <= b <= N_GAPS - 1


@pytest.mark.kernel
def test_each_edge_opens_its_bucket() -> None:
    edges = gap_edges()
    assert edges.dtype == np.int64
    assert (np.diff(edges) > 0).all()
    for place, edge in enumerate(GAP_EDGES):
        assert gap_bucket(edges, edge - 1) == place + 1
        assert gap_bucket(edges, edge) == place + 2
    minute, hour, day = 60_000_000, 3_600_000_000, 86_400_000_000
    assert [gap_bucket(edges, g) for g in (0, minute, hour, day, 30 * day)] == [1, 2, 4, 6, 8]


def test_a_seed_fixes_all_three_generators() -> None:
    def draw(seed: int) -> tuple[float, float, float]:
        rng = seed_everything(seed)
        return random.random(), float(np.random.random()), float(rng.random())

    assert draw(3) == draw(3)
    assert all(a != b for a, b in zip(draw(3), draw(4), strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32, 2**40 + 5])
def test_any_integer_is_a_seed(seed: int) -> None:
    one = seed_everything(seed).random()
    assert seed_everything(seed % 2**32).random() == one


def test_the_returned_generator_leaves_the_global_one_alone() -> None:
    seed_everything(1)
    expected = np.random.random()
    rng = seed_everything(1)
    rng.random(100)
    assert np.random.random() == expected


def test_tracking_is_lazy_and_passes_errors_on() -> None:
    asked = []

    def source() -> object:
        for i in range(3):
            asked.append(i)
            yield i

    walk = track(source(), "counting")  # type: ignore[arg-type, var-annotated]
    assert asked == []
    assert next(walk) == 0
    assert asked == [0]

    def broken() -> object:
        yield 1
        raise KeyError("gone")

    walk = track(broken(), "counting")  # type: ignore[arg-type]
    assert next(walk) == 1
    with pytest.raises(KeyError, match="gone"):
        next(walk)


def test_nothing_to_track_is_fine() -> None:
    assert list(track([], "nothing")) == []
