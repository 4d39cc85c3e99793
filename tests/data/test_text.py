"""The text of an item: in order, tidy, and never silently empty."""

import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.data.text import TextConfig, item_text, text_columns


def test_parts_stand_in_the_configured_order_and_empty_ones_are_left_out() -> None:
    items = pl.DataFrame(
        {"title": ["Kite", "Ball", None], "brand": ["Sky", None, " "], "category": ["air", "", None]}
    )
    assert item_text(items, TextConfig()).to_list() == [
        "title: Kite ; category: air ; brand: Sky",
        "title: Ball",
        "",
    ]
    assert item_text(items, TextConfig(("category", "title")))[0] == "category: air ; title: Kite"


def test_other_columns_can_be_named() -> None:
    items = pl.DataFrame({"title": ["Kite"], "colour": ["red"], "year": [1999]})
    assert (
        item_text(items, TextConfig(("title", "colour", "year")))[0]
        == "title: Kite ; colour: red ; year: 1999"
    )


def test_the_columns_of_a_text_are_those_that_are_there() -> None:
    assert text_columns(["title", "brand", "size"], TextConfig()) == ("title", "brand")
    assert text_columns(["brand", "size", "title"], TextConfig(("size", "title"))) == ("size", "title")


def test_an_empty_text_column_is_an_error() -> None:
    items = pl.DataFrame({"title": ["Kite", "Ball"], "description": ["", None]})
    with pytest.raises(DataError) as error:
        item_text(items, TextConfig())
    assert str(error.value) == (
        "table items, column description: expected some text; found 2 empty rows. "
        "Fill it, or leave description out of data.text.columns."
    )
    assert item_text(items, TextConfig(("title",))).to_list() == ["Kite", "Ball"]  # alone it needs no name


def test_a_named_column_must_be_there_unless_it_is_one_of_the_usual() -> None:
    items = pl.DataFrame({"title": ["Kite"]})
    with pytest.raises(DataError, match=r"column color.*data\.text\.columns names it"):
        item_text(items, TextConfig(("title", "color")))
    with pytest.raises(DataError, match="column title"):
        item_text(items.rename({"title": "name"}), TextConfig())
    assert item_text(items, TextConfig(("title", "brand")))[0] == "Kite"
    with pytest.raises(DataError, match=r"data\.text\.columns: expected a column of items; found brand"):
        item_text(items, TextConfig(("brand",)))
