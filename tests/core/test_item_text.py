"""How an item's text is spelt."""

import pytest

from recsys.core.item_text import join_parts, split_first, tidy


@pytest.mark.parametrize(
    ("given", "tidied"),
    [
        (" Salt &amp; pepper,<br/>2&nbsp;pieces\n\n<b>new</b> ", "Salt & pepper, 2 pieces new"),
        ("a < b > c", "a < b > c"),
        ("&lt;3", "<3"),
        (" <p></p> ", ""),
        (1999, "1999"),
        (None, ""),
    ],
)
def test_markup_entities_and_spaces_are_tidied(given: object, tidied: str) -> None:
    assert tidy(given) == tidied


def test_tidying_twice_changes_nothing() -> None:
    values = ["  a  b ", "<b>x</b>y", "1 &lt; 2", "", "\t\n", "<a href='q'>link</a>", "a<3"]
    once = [tidy(value) for value in values]
    assert once == ["a b", "x y", "1 < 2", "", "", "link", "a<3"]
    assert [tidy(value) for value in once] == once


def test_parts_stand_under_their_names_unless_there_is_one_alone() -> None:
    assert join_parts(("title", "size", "brand"), ("Kite", "", "Sky")) == "title: Kite ; brand: Sky"
    assert join_parts(("title", "brand"), ("Kite", "")) == "title: Kite"
    assert join_parts(("title",), ("Kite",)) == "Kite"
    assert join_parts(("title", "brand"), ("", "")) == join_parts(("title",), ("",)) == ""


def test_the_first_part_parts_from_the_rest() -> None:
    columns = ("title", "description", "brand")
    text = join_parts(columns, ("Tea: green ; loose", "Leaves. Note: dry", "Sen"))
    assert split_first(text) == (
        "title: Tea: green ; loose",
        "description: Leaves. Note: dry ; brand: Sen",
    )
    for one in (join_parts(columns, ("Tea", "", "")), join_parts(("title",), ("Tea ; pot",)), ""):
        assert split_first(one) is None
