"""The fixed words: one spelling each, and codes that stored data hangs on."""

from recsys.core import columns as c


def test_codes_of_event_types_never_move() -> None:
    assert c.EVENT_TYPES == ("impression", "click", "cart", "purchase", "rating", "return")
    assert (c.IMPRESSION, c.CLICK, c.CART, c.PURCHASE, c.RATING, c.RETURN) == (0, 1, 2, 3, 4, 5)
    for name in c.EVENT_TYPES:
        assert getattr(c, name.upper()) == c.EVENT_TYPES.index(name)


def test_what_enters_a_history_can_be_wanted_and_nothing_else_can() -> None:
    assert {c.EVENT_TYPES[kind] for kind in c.INTERACTIONS} == set(c.LABELS)
    assert c.IMPRESSION not in c.INTERACTIONS, "being shown something is no act of the user"
    assert c.RETURN not in c.INTERACTIONS, "what was sent back is no wish"


def test_labels_rise_along_the_funnel() -> None:
    assert 0 < c.LABELS["click"] < c.LABELS["cart"] < c.LABELS["purchase"]


def test_windows_are_in_order_of_time() -> None:
    assert c.WINDOWS == ("fit", "rank", "valid", "test")


def test_no_two_columns_of_a_table_are_spelt_alike() -> None:
    words = [v for k, v in vars(c).items() if k.isupper() and isinstance(v, str)]
    assert len(set(words)) == len(words)
    assert all(word == word.lower() and " " not in word for word in words)


def test_models_and_variants_are_distinct() -> None:
    assert len(set(c.MODELS)) == len(c.MODELS)
    assert len(set(c.VARIANTS)) == len(c.VARIANTS)
    assert not set(c.MODELS) & set(c.VARIANTS)
