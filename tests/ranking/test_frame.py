"""The ranking frame: side by side, never joined; parts that do not fit are refused."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.core.errors import DataError
from recsys.ranking.frame import RankFrame, concat, side_by_side

OFFSETS = np.array([0, 2, 2, 3])
LABELS = np.array([0, 1, 3], np.uint8)


def frame(positions=None):
    features = np.arange(6, dtype=np.float32).reshape(3, 2)
    blocks = [(("a", "b"), features), (("c",), np.array([7.0, 8.0, 9.0]))]
    return side_by_side(blocks, OFFSETS, LABELS, positions)


def test_side_by_side():
    made = frame()
    assert made.columns == ("a", "b", "c")
    assert made.values.tolist() == [[0, 1, 7], [2, 3, 8], [4, 5, 9]]
    assert made.values.dtype == np.float32
    assert made.values.flags.c_contiguous
    assert made.groups.tolist() == [2, 0, 1]
    assert (made.n_rows, made.n_requests) == (3, 3)


def test_select_columns():
    chosen = frame().select_columns(("c", "a"))
    assert chosen.columns == ("c", "a")
    assert chosen.values.tolist() == [[7, 0], [8, 2], [9, 4]]
    assert chosen.values.flags.c_contiguous
    with pytest.raises(DataError, match=r"expected columns price, x; found a, b, c"):
        frame().select_columns(("price", "a", "x"))


def test_select_requests_keeps_them_whole():
    chosen = frame(np.array([1, 2, -1], np.int16)).select_requests(np.array([True, True, False]))
    assert chosen.offsets.tolist() == [0, 2, 2]
    assert chosen.values.tolist() == [[0, 1, 7], [2, 3, 8]]
    assert chosen.positions.tolist() == [1, 2]


def test_concat():
    both = concat([frame(), frame()])
    assert both.offsets.tolist() == [0, 2, 2, 3, 5, 5, 6]
    assert both.labels.tolist() == [0, 1, 3, 0, 1, 3]
    assert both.values.shape == (6, 3)
    assert both.positions is None
    shown = frame(np.array([1, 2, 1], np.int16))
    assert concat([shown, shown]).positions.tolist() == [1, 2, 1, 1, 2, 1]
    assert concat([shown, frame()]).positions is None


def test_concat_refuses_other_columns():
    with pytest.raises(DataError, match="a difference in c"):
        concat([frame(), frame().select_columns(("a", "b"))])
    with pytest.raises(DataError, match="the order of the columns"):
        concat([frame(), frame().select_columns(("b", "a", "c"))])
    with pytest.raises(DataError, match="at least one frame"):
        concat([])


def test_blocks_that_do_not_fit():
    with pytest.raises(DataError, match=r"shape \(3, 1\) for c; found shape \(2, 1\)"):
        side_by_side([(("c",), np.zeros(2))], OFFSETS, LABELS)
    with pytest.raises(DataError, match="found a more than once"):
        side_by_side([(("a",), np.zeros(3)), (("a",), np.zeros(3))], OFFSETS, LABELS)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"values": np.zeros((3, 2), np.float32)}, r"float32 values of shape \(3, 3\)"),
        ({"values": np.zeros((3, 3))}, "found float64"),
        ({"values": np.zeros((3, 3), np.float32).T}, "C-contiguous"),
        ({"labels": np.zeros(3, np.int64)}, "uint8 labels"),
        ({"offsets": np.array([0, 2])}, "rising from 0 to 3"),
        ({"offsets": np.array([0, 3, 2, 3])}, "rising from 0 to 3"),
        ({"positions": np.zeros(2, np.int16)}, "3 positions"),
        ({"columns": ("a", "a", "c")}, "a more than once"),
    ],
)
def test_broken_frames(change, text):
    with pytest.raises(DataError, match=text):
        replace(frame(), **change)


def test_an_empty_frame_is_a_frame():
    empty = RankFrame((), np.zeros((0, 0), np.float32), np.zeros(1, np.int64), np.zeros(0, np.uint8))
    assert (empty.n_rows, empty.n_requests) == (0, 0)
