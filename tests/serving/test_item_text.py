from collections.abc import Sequence

import polars as pl
import pytest

from recsys.data.text import USUAL, TextConfig, item_text, text_columns
from recsys.serving.item_text import text_of

ITEMS = [
    {"title": "A  pen", "description": "writes\n\twell &amp; long", "brand": "Bic"},
    {"title": "Paper <b>A4</b>", "description": None, "brand": ""},
    {"title": "2 < 3 > 1", "description": "<p>rag &lt;i&gt;</p>", "brand": " \u00a0x "},
    {"title": None, "description": "  ", "brand": "&eacute;toile"},
    {"title": None, "description": None, "brand": None},
]
COLUMNS = ("title", "description", "brand")


@pytest.mark.parametrize("place", range(len(ITEMS)))
def test_one_item_reads_as_in_the_table(place: int) -> None:
    table = item_text(pl.DataFrame(ITEMS), TextConfig(COLUMNS)).to_list()
    assert text_of(ITEMS[place], COLUMNS) == (table[place] or "")


@pytest.mark.parametrize(
    ("named", "there"),
    [(("title",), ["title"]), (USUAL, ["title"]), (USUAL, ["title", "brand"]), (USUAL, COLUMNS)],
)
@pytest.mark.parametrize("place", range(len(ITEMS)))
def test_a_text_is_spelt_by_the_columns_that_the_catalogue_has(
    named: tuple[str, ...], there: Sequence[str], place: int
) -> None:
    """A single column stands bare, also where the others are usual ones that the table lacks."""
    table, config = pl.DataFrame(ITEMS).select(there), TextConfig(named)
    assert text_of(ITEMS[place], text_columns(table.columns, config)) == item_text(table, config)[place]


def test_a_single_column_needs_no_name() -> None:
    assert text_of({"title": " A <b>pen</b>", "brand": "Bic"}, ("title",)) == "A pen"


def test_a_given_text_is_taken_as_it_is() -> None:
    assert text_of({"text": "title: x", "title": "y"}, COLUMNS) == "title: x"
    assert text_of({"other": "y"}, COLUMNS) == ""
