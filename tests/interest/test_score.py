"""The interest columns: by their definition, and the same bits offline and online."""

import numpy as np
import pytest

from recsys.core.log import HISTORY, RowBlock, View, heads
from recsys.interest.score import (
    INTEREST_COLUMNS,
    catalogue_scores,
    score_catalogue,
    score_rows,
    score_view,
)
from recsys.interest.user import load_user_tower, user_vectors
from recsys.interest.vectors import embed
from tests.interest.conftest import World

COLUMN = {name: i for i, name in enumerate(INTEREST_COLUMNS)}


def _rows(world: World) -> np.ndarray:
    return score_rows(world.tower, world.tuned, world.raw, world.log, world.heads, world.rows)


@pytest.mark.kernel
def test_offline_and_online_are_the_same_bits(world: World) -> None:
    offline = _rows(world)
    assert offline.shape == (len(world.rows.items), 9)
    for request in range(len(world.users)):
        online = score_view(
            world.tower, world.tuned, world.raw, world.view(request), world.candidates(request)
        )
        part = offline[world.rows.offsets[request] : world.rows.offsets[request + 1]]
        assert online.tobytes() == part.tobytes()


@pytest.mark.kernel
def test_scores_do_not_depend_on_the_company(world: World) -> None:
    request = int(np.argmax(np.diff(world.rows.offsets)))
    view, items = world.view(request), world.candidates(request)
    together = score_view(world.tower, world.tuned, world.raw, view, items)
    for i in range(len(items)):
        alone = score_view(world.tower, world.tuned, world.raw, view, items[i : i + 1])
        for name in ("interest_click", "interest_purchase", "text_similarity_mean", "text_similarity_max"):
            assert alone[0, COLUMN[name]].tobytes() == together[i, COLUMN[name]].tobytes()


@pytest.mark.kernel
def test_columns_by_their_definition(world: World) -> None:
    out = _rows(world)
    for request in range(len(world.users)):
        view, items = world.view(request), world.candidates(request)
        part = out[world.rows.offsets[request] : world.rows.offsets[request + 1]]
        known = (items >= 0) & (items != 7)
        assert np.isnan(part[~known]).all()
        user = np.empty((2, 21), np.float32)
        user_vectors(world.tower, world.tuned, view.n, view.items, view.kinds, view.times, user)
        for head in range(2):
            scores = world.tuned[items[known]] @ user[head]
            assert np.allclose(part[known, head], scores, atol=1e-6)
            ranks = [1 + int((part[known, head] > s).sum()) for s in part[known, head]]
            assert part[known, 2 + head].tolist() == ranks
            if len(scores) > 1:
                z = (scores - scores.mean()) / max(scores.std(), 1e-9)
                assert np.allclose(part[known, 4 + head], z, atol=1e-3)
        past = world.raw[[i for i in view.items[: view.n] if i != 7]]
        if not len(past):
            assert np.isnan(part[:, 6:]).all()
            continue
        mean = past.sum(0) / np.linalg.norm(past.sum(0))
        rows = world.raw[items[known]]
        recent = world.raw[[i for i in view.items[: min(view.n, 10)] if i != 7]]
        assert np.allclose(part[known, COLUMN["text_similarity_mean"]], rows @ mean, atol=1e-5)
        assert np.allclose(part[known, COLUMN["text_similarity_last"]], rows @ recent[0], atol=1e-5)
        assert np.allclose(part[known, COLUMN["text_similarity_max"]], (rows @ recent.T).max(1), atol=1e-5)


@pytest.mark.kernel
def test_ties_share_a_rank_and_have_no_spread(world: World) -> None:
    out = score_view(world.tower, world.tuned, world.raw, world.view(3), np.array([4, 4, 4], np.int32))
    assert out[:, COLUMN["interest_click_rank"]].tolist() == [1.0, 1.0, 1.0]
    assert out[:, COLUMN["interest_click_z"]].tolist() == [0.0, 0.0, 0.0]
    assert score_view(world.tower, world.tuned, world.raw, world.view(3), np.empty(0, np.int32)).shape == (
        0,
        9,
    )


@pytest.mark.kernel
def test_an_item_encoded_on_the_spot_scores_like_a_stored_one(world: World) -> None:
    request = int(np.argmax(world.heads))
    view = world.view(request)
    stored = score_view(world.tower, world.tuned, world.raw, view, np.array([3, 9, 12], np.int32))
    extra_tuned, extra_raw = (np.full((3, 21), np.nan, np.float32) for _ in range(2))
    extra_tuned[1], extra_raw[1] = world.tuned[9], world.raw[9]
    items = np.array([3, -1, 12], np.int32)
    spot = score_view(world.tower, world.tuned, world.raw, view, items, extra_tuned, extra_raw)
    assert spot.tobytes() == stored.tobytes()
    assert np.isnan(score_view(world.tower, world.tuned, world.raw, view, items)[1]).all()


@pytest.mark.kernel
def test_the_whole_catalogue(world: World) -> None:
    scores = catalogue_scores(world.tower, world.tuned, world.log, world.heads)
    everything = np.arange(50, dtype=np.int32)
    for request in range(len(world.users)):
        columns = score_view(world.tower, world.tuned, world.raw, world.view(request), everything)
        assert np.array_equal(scores[request], columns[:, 0], equal_nan=True)
    out = np.empty(50, np.float32)
    score_catalogue(world.tuned[3], world.tuned, out)
    assert out[3] == pytest.approx(1.0, abs=1e-6)


def test_the_trained_encoder_solves_the_toy_world() -> None:
    from recsys.interest.text import TextTower
    from tests.encoder.tiny import exported, toy

    toy_world, folder = toy(), exported().folder
    vectors = embed(toy_world.texts, TextTower.load(folder, threads=1))
    tower = load_user_tower(folder, clock=True)
    users = np.arange(40, dtype=np.int32)
    entrances = heads(toy_world.log, users, np.full(40, len(toy_world.log.user)))
    rows = RowBlock(np.arange(41, dtype=np.int64) * 40, np.tile(np.arange(40, dtype=np.int32), 40))
    out = score_rows(tower, vectors.tuned, vectors.raw, toy_world.log, entrances, rows).reshape(40, 40, 9)
    right = (users[:, None] + np.arange(40)) % 2 == 0

    def auc(column: str) -> float:
        scores = out[:, :, COLUMN[column]]
        return float(
            np.mean([(s[r][:, None] > s[~r][None, :]).mean() for s, r in zip(scores, right, strict=True)])
        )

    assert auc("interest_click") > 0.97
    assert auc("interest_purchase") > 0.95
    assert auc("interest_click") > auc("text_similarity_mean")


def test_a_view_may_be_empty(world: World) -> None:
    nobody = View(
        -1, 0, 0, np.full(HISTORY, -1, np.int32), np.zeros(HISTORY, np.int8), np.zeros(HISTORY, np.int64)
    )
    out = score_view(world.tower, world.tuned, world.raw, nobody, np.array([0, 1], np.int32))
    assert np.isfinite(out[:, :6]).all(), "the learned vector of an empty history"
    assert np.isnan(out[:, 6:]).all()
