"""The check of each stage's door, dtype by dtype, and what the specs promise each other."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core import columns as c
from recsys.core import tables
from recsys.core.errors import DataError
from recsys.core.tables import Col, TableSpec, check, missing_column

SPECS = [value for value in vars(tables).values() if isinstance(value, TableSpec)]


def empty(spec: TableSpec, optional: bool = True) -> pl.DataFrame:
    return pl.DataFrame(schema={col.name: col.dtype for col in spec.columns if optional or col.required})


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_an_empty_frame_of_the_right_shape_is_fine(spec: TableSpec) -> None:
    for optional in (True, False):
        frame = empty(spec, optional)
        assert check(frame, spec) is frame


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_each_required_column_is_missed_by_name(spec: TableSpec) -> None:
    for column in spec.columns:
        frame = empty(spec).drop(column.name)
        if not column.required:
            check(frame, spec)
            continue
        with pytest.raises(DataError) as error:
            check(frame, spec)
        assert error.value.what == f"table {spec.name}, column {column.name}"
        assert error.value.expected == "the column to be there"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_each_column_of_another_type_is_refused(spec: TableSpec) -> None:
    for column in spec.columns:
        other = pl.Boolean if column.dtype != pl.Boolean else pl.Int8
        frame = empty(spec).with_columns(pl.Series(column.name, [], dtype=other))
        with pytest.raises(DataError) as error:
            check(frame, spec)
        assert error.value.what == f"table {spec.name}, column {column.name}"
        assert error.value.expected == f"type {column.dtype}"
        assert error.value.found == f"type {other}"


@pytest.mark.parametrize(
    ("wanted", "given_"),
    [
        (pl.Int32, pl.Int64),
        (pl.Int32, pl.UInt32),
        (pl.Float32, pl.Float64),
        (pl.UInt8, pl.Boolean),
        (pl.String, pl.Categorical),
        (tables.TIME, pl.Datetime("ms", "UTC")),
        (tables.TIME, pl.Datetime("us", "Europe/Berlin")),
        (tables.TIME, pl.Datetime("us")),
        (tables.EVENT_TYPE_ENUM, pl.String),
        (tables.EVENT_TYPE_ENUM, tables.WINDOW_ENUM),
        (tables.WINDOW_ENUM, pl.Enum(["fit", "rank"])),
    ],
)
def test_a_neighbouring_type_is_another_type(wanted: Any, given_: Any) -> None:
    spec = TableSpec("t", (Col("x", wanted),))
    with pytest.raises(DataError, match=r"^table t, column x: expected type .*; found type .*\. Mend\.$"):
        check(pl.DataFrame(schema={"x": given_}), spec, do="Mend.")


@given(st.lists(st.integers(0, 5) | st.none(), max_size=12))
@settings(max_examples=40, deadline=None)
def test_nulls_are_counted(values: list[int | None]) -> None:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Int32)})
    nulls = values.count(None)
    check(frame, TableSpec("t", (Col("x", pl.Int32, nullable=True),)))
    closed = TableSpec("t", (Col("x", pl.Int32),))
    if not nulls:
        check(frame, closed)
        return
    with pytest.raises(DataError, match=f"expected no nulls; found {nulls} of {len(values)} rows null"):
        check(frame, closed)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_key_of_two_columns_is_the_pair(rows: list[tuple[int, int]]) -> None:
    spec = TableSpec("t", (Col("a", pl.Int64), Col("b", pl.Int64)), key=("a", "b"))
    frame = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.Int64}, orient="row")
    repeats = len(rows) - len(set(rows))
    if not repeats:
        check(frame, spec)
        return
    first = next(row for row in rows if rows.count(row) > 1)
    with pytest.raises(DataError) as error:
        check(frame, spec)
    assert error.value.what == "table t, key a + b"
    assert error.value.found == f"{repeats} repeated rows, the first with {first[0]}, {first[1]}"


def test_a_missing_column_hints_at_the_nearest_name() -> None:
    error = missing_column("events", "user_id", ["userid", "item_id"], "Mend.")
    assert error.do == "Mend. Did you mean 'userid'?"
    far = missing_column("events", "user_id", ["zzz"], "Mend.")
    assert far.do == "Mend."
    assert missing_column("events", "user_id", [], "Mend.").found == "columns none"


def test_an_optional_column_may_be_null_but_not_of_another_type() -> None:
    good = pl.DataFrame({"item_id": ["a"], "title": [None], "price": [None]}).cast(
        {"title": pl.String, "price": pl.Float32}
    )
    check(good, tables.ITEMS_IN)
    with pytest.raises(DataError, match="column price: expected type Float32; found type Float64"):
        check(good.cast({"price": pl.Float64}), tables.ITEMS_IN)


def test_prepared_tables_hold_what_came_from_outside() -> None:
    for outside, prepared in (
        (tables.EVENTS_IN, tables.EVENTS),
        (tables.ITEMS_IN, tables.ITEMS),
        (tables.USERS_IN, tables.USERS),
    ):
        types = {column.name: column.dtype for column in prepared.columns}
        for column in outside.columns:
            assert types[column.name] == column.dtype


def test_events_from_outside_may_lack_what_prepared_ones_need() -> None:
    outside = {column.name: column.nullable for column in tables.EVENTS_IN.columns}
    prepared = {column.name: column.nullable for column in tables.EVENTS.columns}
    for name in (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT_TYPE):
        assert outside[name] and not prepared[name]
