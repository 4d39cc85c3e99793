import polars as pl
import pytest

from recsys.data.text import TextConfig, item_text
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


def test_a_given_text_is_taken_as_it_is() -> None:
    assert text_of({"text": "title: x", "title": "y"}, COLUMNS) == "title: x"
    assert text_of({"other": "y"}, COLUMNS) == ""
