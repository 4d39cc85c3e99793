"""Frames cut and put together again are what they were; rows chosen for a request do not ask for others."""

import json
from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import BundleError, ConfigError, DataError
from recsys.ranking.config import RerankerConfig
from recsys.ranking.first_stage import SelectConfig, select
from recsys.ranking.frame import RankFrame, concat, side_by_side
from recsys.ranking.reranker import Reranker, can_teach, train

FAST = RerankerConfig(
    num_iterations=12, num_leaves=5, min_data_in_leaf=2, learning_rate=0.3, feature_fraction=1.0, threads=1
)


def informative(frame: RankFrame, gains: list[float]) -> RankFrame:
    return frame.select_requests(can_teach(frame, gains))


def frame_of(seed: int = 0, requests: int = 30, positions: bool = True) -> RankFrame:
    """Requests of 0 to 6 rows; "a" tells the label, "b" nothing."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 7, requests)
    n = int(sizes.sum())
    labels = rng.choice([0, 0, 0, 1, 3], n).astype(np.uint8)
    values = np.column_stack([labels + rng.normal(size=n) * 0.3, rng.normal(size=n)]).astype(np.float32)
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    places = rng.integers(1, 9, n).astype(np.int16) if positions else None
    return RankFrame(("a", "b"), values, offsets, labels, places)


def same(one: RankFrame, two: RankFrame) -> bool:
    parts = ("values", "offsets", "labels", "positions")
    return one.columns == two.columns and all(
        np.array_equal(getattr(one, part), getattr(two, part)) for part in parts
    )


@pytest.mark.parametrize("at", [0, 1, 13, 30])
def test_two_halves_make_the_whole(at: int) -> None:
    frame = frame_of()
    first = np.arange(30) < at
    whole = concat([frame.select_requests(first), frame.select_requests(~first)])
    assert same(whole, frame)


def test_columns_turned_round_twice_are_as_before() -> None:
    frame = frame_of()
    turned = frame.select_columns(("b", "a"))
    assert turned.values[:, 0].tolist() == frame.values[:, 1].tolist()
    assert turned.values.flags.c_contiguous
    assert same(turned.select_columns(("a", "b")), frame)
    assert frame.select_columns(("a", "b")) is frame


def test_blocks_side_by_side_are_their_columns() -> None:
    frame = frame_of()
    built = side_by_side(
        [(("b",), frame.values[:, 1]), (("a",), frame.values[:, :1])],
        frame.offsets,
        frame.labels,
        frame.positions,
    )
    assert same(built, frame.select_columns(("b", "a")))


@pytest.mark.parametrize("keep", [[], [0], [3, 4, 29]])
def test_chosen_requests_keep_their_rows(keep: list[int]) -> None:
    frame = frame_of()
    part = frame.select_requests(np.isin(np.arange(30), keep))
    assert part.groups.tolist() == frame.groups[keep].tolist()
    for place, r in enumerate(keep):
        mine = slice(frame.offsets[r], frame.offsets[r + 1])
        its = slice(part.offsets[place], part.offsets[place + 1])
        np.testing.assert_array_equal(part.values[its], frame.values[mine])


def test_positions_survive_only_where_all_have_them() -> None:
    with_, without = frame_of(), frame_of(positions=False)
    assert concat([with_, without]).positions is None
    both = concat([with_, with_]).positions
    assert both is not None and len(both) == 2 * with_.n_rows


def test_requests_that_teach_have_two_gains() -> None:
    labels = np.array([0, 0, 1, 0, 1, 1, 2, 3], np.uint8)
    offsets = np.array([0, 2, 2, 4, 6, 8], np.int64)
    frame = RankFrame(("a",), np.zeros((8, 1), np.float32), offsets, labels)
    assert informative(frame, [0, 1, 3, 10]).labels.tolist() == [1, 0, 2, 3]
    assert informative(frame, [0, 1, 3, 3]).labels.tolist() == [1, 0]  # cart worth a purchase: no contrast
    assert informative(frame, [0, 0, 0, 0]).n_requests == 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"labels": np.zeros(2, np.uint8)}, r"float32 values of shape \(2, 1\); found float32 \(3, 1\)"),
        ({"labels": np.zeros(3, int)}, "uint8 labels; found int64"),
        ({"offsets": np.array([0, 2], np.int64)}, "int64 offsets rising from 0 to 3"),
        ({"offsets": np.array([0, 4, 3], np.int64)}, "int64 offsets rising from 0 to 3"),
        ({"offsets": np.array([0, 3], np.int32)}, "found int32"),
        ({"positions": np.zeros(2, np.int16)}, r"3 positions; found \(2,\)"),
        ({"values": np.zeros((3, 1))}, "found float64"),
        (
            {"columns": ("x", "x"), "values": np.zeros((3, 2), np.float32)},
            "every column name once; found x more",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(changes: dict[str, object], text: str) -> None:
    parts = {
        "columns": ("x",),
        "values": np.zeros((3, 1), np.float32),
        "offsets": np.array([0, 3], np.int64),
        "labels": np.zeros(3, np.uint8),
    }
    with pytest.raises(DataError, match=text):
        RankFrame(**(parts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 2, 5, 50])
@pytest.mark.parametrize("quotas", [{}, {"a": 1}, {"a": 0, "b": 2}])
def test_select_against_a_plain_loop(n: int, quotas: dict[str, int]) -> None:
    rng = np.random.default_rng(n)
    sizes = rng.integers(0, 8, 12)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    ranks = rng.integers(0, 5, (sizes.sum(), 2)).astype(np.int16)
    kept = select(offsets, ranks, ("a", "b"), SelectConfig(n=n, quotas=quotas))
    expected: list[int] = []
    limits = [quotas.get("a", 999), quotas.get("b", 999)]
    for r in range(12):
        rows = list(range(offsets[r], offsets[r + 1]))
        first = [row for row in rows if any(0 < ranks[row, s] <= limits[s] for s in range(2))]
        expected += sorted((first + [row for row in rows if row not in first])[:n])
    assert kept.tolist() == expected


def test_select_knows_its_sources() -> None:
    with pytest.raises(ConfigError, match="select.quotas: expected sources among a, b; found c. Remove"):
        select(np.array([0, 0]), np.zeros((0, 2), np.int16), ("a", "b"), SelectConfig(quotas={"c": 1}))


@pytest.fixture(scope="module")
def model() -> Reranker:
    pytest.importorskip("lightgbm")
    return train(frame_of(0, 200), None, FAST)


def test_a_score_is_that_of_its_row_alone(model: Reranker) -> None:
    values = frame_of(3).values
    scores = model.predict(values)
    order = np.random.default_rng(0).permutation(len(values))
    np.testing.assert_array_equal(model.predict(values[order]), scores[order])
    for row in range(0, len(values), 7):
        assert model.predict(values[row : row + 1])[0] == scores[row]
    assert model.predict(values[:0]).shape == (0,)


def test_a_frame_with_more_columns_in_another_order_scores_the_same(model: Reranker) -> None:
    frame = frame_of(3)
    more = side_by_side(
        [(("z", "b", "a"), np.column_stack([frame.labels, frame.values[:, ::-1]]))],
        frame.offsets,
        frame.labels,
    )
    np.testing.assert_array_equal(model.predict_frame(more), model.predict_frame(frame))
    with pytest.raises(DataError, match="expected columns b; found a. Compute the features"):
        model.predict_frame(frame.select_columns(("a",)))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_monotone_column_moves_scores_one_way(sign: int) -> None:
    pytest.importorskip("lightgbm")
    config = RerankerConfig(**{**FAST.__dict__, "monotone": {"a": sign}})
    trained = train(frame_of(0, 200), None, config)
    values = np.column_stack([np.linspace(-2, 5, 60), np.full(60, 0.3)]).astype(np.float32)
    steps = np.diff(trained.predict(values)) * sign
    assert (steps >= 0).all()
    assert steps.max() > 0 or sign < 0  # against the truth nothing can be learnt


def test_positives_stand_above_the_others_on_new_requests(model: Reranker) -> None:
    frame = frame_of(5, 60)
    likes = model.predict_frame(frame)
    positive = frame.labels > 0
    assert likes[positive].mean() > likes[~positive].mean() + 0.5


@pytest.mark.parametrize("name", ["model.txt", "reranker.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_a_damaged_folder_is_refused(model: Reranker, tmp_path: Path, name: str, damage: str) -> None:
    model.save(tmp_path)
    path = tmp_path / name
    text = path.read_text()
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_text(text[: len(text) // 2])
    else:
        path.write_text(text.replace("num_leaves", "num_leafs").replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(
        BundleError, match=r"(model.txt|reranker.json): expected .*; found .*Copy the model folder again"
    ):
        Reranker.load(tmp_path)


@pytest.mark.parametrize("gone", ["columns", "best_iteration", "importance", "config"])
def test_an_incomplete_side_file_is_refused(model: Reranker, tmp_path: Path, gone: str) -> None:
    model.save(tmp_path)
    path = tmp_path / "reranker.json"
    side = json.loads(path.read_text())
    del side[gone]
    path.write_text(json.dumps(side))
    with pytest.raises(BundleError, match=f"reranker.json: expected .* under {gone!r}; found only"):
        Reranker.load(tmp_path)


def test_saved_twice_it_is_the_same_bytes_and_loads_equal(model: Reranker, tmp_path: Path) -> None:
    model.save(tmp_path / "one")
    again = Reranker.load(tmp_path / "one")
    assert again == model
    again.save(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
