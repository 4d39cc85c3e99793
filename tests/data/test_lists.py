"""Shown lists: from fit alone, each item once, labelled by the events of their own request."""

from recsys.core.columns import CART, CLICK, IMPRESSION, PURCHASE, RATING
from recsys.core.log import ListArrays, make_log
from recsys.data.lists import make_lists
from recsys.data.pairs import PairsConfig

ALL = PairsConfig(need_history=False)
END = 10**9
I = IMPRESSION  # noqa: E741


def lists_of(
    *rows: tuple[int, int, int, int, int],
    config: PairsConfig = ALL,
    end: int = END,
    value: list[float] | None = None,
) -> ListArrays:
    users, items, times, kinds, requests = (list(column) for column in zip(*rows, strict=True))
    return make_lists(make_log(users, items, times, kinds, value=value, request=requests), end, config)


def shape(lists: ListArrays) -> list[tuple[int, int, list[tuple[int, int, float]]]]:
    out = []
    for at in range(len(lists.user)):
        part = slice(lists.offsets[at], lists.offsets[at + 1])
        rows = zip(*(c[part].tolist() for c in (lists.item, lists.kind, lists.weight)), strict=True)
        out.append((int(lists.user[at]), int(lists.position[at]), list(rows)))
    return out


def test_a_list_is_labelled_by_what_followed_in_its_request() -> None:
    rows = [(0, 4, 1, I, 7), (0, 2, 1, I, 7), (0, 9, 1, I, 7), (0, 2, 2, CLICK, 7), (0, 4, 2, CLICK, 8)]
    assert shape(lists_of(*rows)) == [(0, 0, [(4, I, 0.0), (2, CLICK, 1.0), (9, I, 0.0)])]


def test_the_strongest_event_counts_and_an_item_stands_once() -> None:
    rows = [(0, 1, 1, I, 0), (0, 2, 1, I, 0), (0, 1, 1, I, 0), (0, 1, 2, CLICK, 0), (0, 1, 3, PURCHASE, 0)]
    assert shape(lists_of(*rows, (0, 1, 4, CART, 0))) == [(0, 0, [(1, PURCHASE, 3.0), (2, I, 0.0)])]


def test_lists_without_a_choice_say_nothing() -> None:
    nothing = [(0, 1, 1, I, 0), (0, 2, 1, I, 0)]
    everything = [(0, 1, 3, I, 1), (0, 1, 3, CLICK, 1)]
    assert shape(lists_of(*nothing, *everything)) == []


def test_an_event_that_was_not_shown_is_no_label() -> None:
    rows = [(0, 1, 1, I, 0), (0, 2, 1, I, 0), (0, 3, 2, CLICK, 0), (0, 2, 2, CLICK, 0)]
    assert shape(lists_of(*rows)) == [(0, 0, [(1, I, 0.0), (2, CLICK, 1.0)])]


def test_only_what_lies_before_rank_is_read() -> None:
    rows = [(0, 1, 1, I, 0), (0, 2, 1, I, 0), (0, 2, 2, CLICK, 0), (0, 1, 5, CLICK, 0), (0, 1, 6, I, 1)]
    assert shape(lists_of(*rows, end=5)) == [(0, 0, [(1, I, 0.0), (2, CLICK, 1.0)])]
    assert shape(lists_of(*rows, end=2)) == []


def test_the_history_ends_before_the_list_and_is_needed_by_default() -> None:
    rows = [
        (0, 5, 1, CLICK, -1),
        (0, 1, 2, I, 3), (1, 1, 2, I, 4), (0, 2, 2, I, 3), (1, 2, 2, I, 4),
        (0, 1, 3, CLICK, 3), (1, 2, 4, CLICK, 4),
    ]  # fmt: skip
    lists = lists_of(*rows)
    assert lists.user.tolist() == [0, 1] and lists.head.tolist() == [0, -1]  # in log order, interleaved
    assert lists_of(*rows, config=PairsConfig()).user.tolist() == [0]


def test_a_poor_rating_takes_nothing() -> None:
    rows = [(0, 1, 1, I, 0), (0, 2, 1, I, 0), (0, 1, 2, RATING, 0)]
    config = PairsConfig(need_history=False, min_rating=4.0)
    assert shape(lists_of(*rows, config=config, value=[0.0, 0.0, 3.0])) == []
    assert len(shape(lists_of(*rows, config=config, value=[0.0, 0.0, 5.0]))) == 1


def test_without_impressions_there_are_no_lists() -> None:
    assert shape(lists_of((0, 1, 1, CLICK, 0), (0, 2, 2, CLICK, 1))) == []
