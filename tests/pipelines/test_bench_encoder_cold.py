"""What items without ids keep: the arithmetic, and which figures are printed."""

from typing import Any

import numpy as np
import pytest

from recsys.pipelines import bench_encoder, bench_encoder_cold
from recsys.pipelines.bench import Figure
from recsys.pipelines.bench_encoder_cold import COLD, Asked, Trained, gains


@pytest.fixture(autouse=True)
def one_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks likes what lies along the first axis."""

    def users(tower: Any, vectors: Any, log: Any, head: Any) -> Any:
        return np.tile(np.array([1.0, 0.0], np.float32), (len(head), 1))

    monkeypatch.setattr(bench_encoder_cold, "query_vectors", users)


def asked_for(*items: int) -> Asked:
    data: Any = type("Data", (), {"log": None})()
    return Asked(data, np.zeros(len(items), np.int64), np.array(items, np.int32))


def shelf() -> Trained:
    """Five items, the first liked most; by its text alone each of them stands last."""
    tower: Any = None
    scores = np.array([5, 4, 3, 2, 1], np.float32)
    return Trained(tower, np.full((5, 2), -1, np.float32), np.stack((scores, scores), 1))


def test_a_tie_counts_at_its_mid_rank_and_beyond_ten_nothing_counts() -> None:
    tower: Any = None
    first = np.array([9, 5, 5, *range(-10, 0)], np.float32)
    vectors = np.stack((first, first), 1)
    found = gains(asked_for(0, 1, 2, 12, 3), tower, vectors)
    np.testing.assert_allclose(found, [1, 1 / np.log2(3.5), 1 / np.log2(3.5), 1 / np.log2(5), 0])


def test_the_share_that_a_cold_item_keeps() -> None:
    model, asked = shelf(), asked_for(0, 1, 2, 3, 4)
    whole = gains(asked, model.tower, model.tuned)
    for draw in range(5):
        (cold,) = np.random.default_rng(draw).choice(5, round(COLD * 5), replace=False)
        found = bench_encoder_cold._kept(asked, model, whole, draw)
        assert found == pytest.approx(np.log2(cold + 2) / np.log2(6))  # from its rank to the fifth


def test_both_figures_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_encoder_cold, "_trained", lambda *given: (asked_for(0, 1, 2, 3, 4), shelf()))
    figures: list[Figure] = bench_encoder_cold.cold_figures(True)
    assert tuple(figure.name for figure in figures) == bench_encoder.PARTS["cold"].names
    assert (figures[0].goal, figures[0].sense) == (0.8, "min")
