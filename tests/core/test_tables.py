"""The door of every stage: each defect gives one message that names table, column and remedy."""

import polars as pl
import pytest

from recsys.core import tables
from recsys.core.columns import EVENT_TYPES
from recsys.core.errors import DataError
from recsys.core.tables import Col, TableSpec, check

SPEC = TableSpec(
    "toys",
    (
        Col("toy", pl.Int32),
        Col("name", pl.String, nullable=True),
        Col("price", pl.Float32, required=False, nullable=True),
    ),
    key=("toy",),
)


def toys() -> pl.DataFrame:
    return pl.DataFrame({"toy": [0, 1], "name": ["kite", None]}, schema={"toy": pl.Int32, "name": pl.String})


def test_a_good_frame_comes_back_as_it_is() -> None:
    frame = toys()
    assert check(frame, SPEC) is frame


def test_optional_columns_may_be_there_and_extra_ones_are_carried() -> None:
    frame = toys().with_columns(pl.lit(1.0, pl.Float32).alias("price"), pl.lit("red").alias("colour"))
    assert check(frame, SPEC).columns == ["toy", "name", "price", "colour"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            toys().rename({"name": "nam"}),
            "table toys, column name: expected the column to be there; found columns toy, nam. Mend it. "
            "Did you mean 'nam'?",
        ),
        (
            toys().with_columns(pl.col("toy").cast(pl.Int64)),
            "table toys, column toy: expected type Int32; found type Int64. Mend it.",
        ),
        (
            toys().with_columns(pl.lit("free").alias("price")),
            "table toys, column price: expected type Float32; found type String. Mend it.",
        ),
        (
            toys().with_columns(pl.Series("toy", [0, None], dtype=pl.Int32)),
            "table toys, column toy: expected no nulls; found 1 of 2 rows null. Mend it.",
        ),
        (
            pl.concat([toys(), toys(), toys().head(1)]),
            "table toys, key toy: expected one row for each key; found 3 repeated rows, the first with 0. "
            "Mend it.",
        ),
    ],
)
def test_each_defect_has_one_message(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(DataError) as error:
        check(frame, SPEC, do="Mend it.")
    assert str(error.value) == message


def test_a_closed_table_refuses_extra_columns() -> None:
    closed = TableSpec("toys", SPEC.columns, extra=False)
    with pytest.raises(DataError, match=r"table toys: expected columns toy, name, price; found also \['x'\]"):
        check(toys().with_columns(x=1), closed)


def test_a_time_without_its_zone_is_another_type() -> None:
    spec = TableSpec("t", (Col("at", tables.TIME),))
    frame = pl.DataFrame({"at": [0]}).select(pl.col("at").cast(pl.Datetime("us")))
    with pytest.raises(DataError, match="found type Datetime"):
        check(frame, spec)
    check(frame.select(pl.col("at").dt.replace_time_zone("UTC")), spec)


def test_event_types_are_stored_as_their_codes() -> None:
    codes = pl.Series(EVENT_TYPES, dtype=tables.EVENT_TYPE_ENUM).to_physical().to_list()
    assert codes == list(range(len(EVENT_TYPES)))


def test_every_spec_has_distinct_columns_that_hold_its_key() -> None:
    specs = [value for value in vars(tables).values() if isinstance(value, TableSpec)]
    assert len(specs) >= 12
    for spec in specs:
        assert len(set(spec.names())) == len(spec.names())
        assert set(spec.key) <= set(spec.names())
