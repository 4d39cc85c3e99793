"""The catalogue of columns: names and words for every column that the state writes, and no other."""

import numpy as np
import pytest

from recsys.core.errors import ConfigError
from recsys.core.log import OPEN_FROM, OPEN_TO, ItemTable
from recsys.features.catalogue import Feature, StateConfig, catalogue, feature_markdown, feature_table
from recsys.state.store import State

ROWS = {
    "item_clicks": Feature("counts", "item", "count", ("click",), half_lives=("all", "7d")),
    "item_age": Feature("static", "item", "age"),
    "user_length": Feature("recent", "user", "length"),
    "pair_seen": Feature("recent", "user", "seen", direction=1, meaning="met before | or not"),
    "pair_category": Feature("recent", "user", "same_category", depth=10),
}
CONFIG = StateConfig(rows=ROWS)


def table(n: int) -> ItemTable:
    codes = (np.arange(n) % 2).astype(np.int32)
    open_from, open_to = np.full(n, OPEN_FROM, np.int64), np.full(n, OPEN_TO, np.int64)
    return ItemTable(codes, codes, np.ones(n, np.float32), open_from, open_to)


@pytest.mark.parametrize("clock", [True, False])
def test_the_columns_are_those_that_a_state_writes(clock: bool) -> None:
    state = State.new(CONFIG, clock, 3, table(4))
    columns = catalogue(CONFIG, clock)
    assert tuple(column.name for column in columns) == tuple(state.names)
    assert state.read(state.view(0, 5), np.arange(4, dtype=np.int32)).shape == (4, len(columns))


def test_names_are_unique_and_begin_with_what_they_describe() -> None:
    columns = catalogue(CONFIG)
    names = [column.name for column in columns]
    assert len(set(names)) == len(names) >= 6
    for column in columns:
        assert column.name.split("_")[0] == column.scope
        assert column.meaning
        assert column.family in {"counts", "static", "recent"}


def test_without_a_clock_nothing_needs_one() -> None:
    timed, order = catalogue(CONFIG, clock=True), catalogue(CONFIG, clock=False)
    assert any(column.needs_clock for column in timed)
    assert not any(column.needs_clock for column in order)
    assert len(order) < len(timed)
    assert {column.name for column in order} & {"pair_seen", "user_length"} == {"pair_seen", "user_length"}


def test_the_frame_has_a_row_a_column() -> None:
    frame = feature_table(CONFIG)
    assert frame["name"].to_list() == [column.name for column in catalogue(CONFIG)]
    assert frame.filter(frame["name"] == "pair_seen").select("direction", "scope").row(0) == (1, "pair")
    assert frame["needs_clock"].sum() == sum(column.needs_clock for column in catalogue(CONFIG))


def test_the_markdown_names_every_column_once() -> None:
    text = feature_markdown(CONFIG)
    head, rule, *lines = text.splitlines()
    assert head.startswith("| column | meaning")
    assert set(rule) == {"|", "-"}
    assert [line.split("`")[1] for line in lines] == [column.name for column in catalogue(CONFIG)]
    assert text.count("(needs a clock)") == sum(column.needs_clock for column in catalogue(CONFIG))


def test_no_rows_no_columns() -> None:
    assert catalogue(StateConfig()) == ()
    assert feature_markdown(StateConfig()).count("\n") == 2


def test_the_given_words_stand_for_the_generated_ones() -> None:
    by_name = {column.name: column for column in catalogue(CONFIG)}
    assert by_name["pair_seen"].meaning == "met before | or not"
    assert by_name["user_length"].meaning != by_name["pair_category"].meaning


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (Feature("countz", "item", "count"), "countz"),
        (Feature("counts", "item", "total"), "total"),
        (Feature("counts", "item", "count", ("klick",)), "klick"),
        (Feature("counts", "item", "count", half_lives=("7 days",)), "7 days"),
    ],
)
def test_a_misspelt_word_is_refused_by_name(row: Feature, found: str) -> None:
    with pytest.raises(ConfigError, match=f"expected .*; found .*{found}"):
        catalogue(StateConfig(rows={"item_x": row}))
