"""Which families there are, and how feature rows become instances of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recsys.core.checks import check_choice
from recsys.core.errors import ConfigError
from recsys.core.log import ItemTable
from recsys.state.counts import Counts
from recsys.state.family import Family, Feature, Sizes, StateConfig
from recsys.state.neighbours import Neighbours, list_words, lists_of_all
from recsys.state.pair_counts import PairCounts
from recsys.state.price import Price
from recsys.state.recent import Recent
from recsys.state.static import Static
from recsys.state.words import check_row, row_key

FAMILIES: Mapping[str, Any] = {
    "counts": Counts,
    "pair_counts": PairCounts,
    "recent": Recent,
    "neighbours": Neighbours,
    "price": Price,
    "static": Static,
}

KEYS: Mapping[str, tuple[str, ...]] = {
    "counts": ("user", "item", "category", "brand", "global"),
    "pair_counts": ("user_item", "user_category", "user_brand"),
    "recent": ("user",),
    "neighbours": ("item",),
    "price": ("user",),
    "static": ("item",),
}


def groups(config: StateConfig) -> dict[tuple[str, ...], list[Feature]]:
    """Feature rows by the table they share, in the order of the config."""
    groups: dict[tuple[str, ...], list[Feature]] = {}
    for name, row in config.rows.items():
        feature = replace(row, name=name)
        check_row(feature, FAMILIES)
        check_choice(row_key(feature, "key"), row.key, KEYS[row.family])
        lists = list_words(row) if row.family == "neighbours" else ()
        groups.setdefault((row.family, row.key, *lists), []).append(feature)
    return groups


def sizes_of(n_users: int, items: ItemTable) -> Sizes:
    """How many codes a catalogue and its users need."""
    categories, brands = int(items.category.max(initial=-1)) + 1, int(items.brand.max(initial=-1)) + 1
    return Sizes(n_users, len(items.category), categories, brands)


def build(
    config: StateConfig, clock: bool, sizes: Sizes, wanted: frozenset[str] | None, views: bool, lists: bool
) -> list[Family]:
    """The families of a config that give a wanted column; with ``views`` the ring in any case.

    With ``lists`` the neighbour lists over all interactions as well.
    """
    families: list[Family] = []
    for (kind, key, *_), features in groups(config).items():
        family = FAMILIES[kind](key, features, config, clock, sizes, wanted)
        if family.columns or (views and kind == "recent"):
            families.append(family)
    if views and not any(isinstance(family, Recent) for family in families):
        families.append(Recent("user", (), config, clock, sizes))
    if lists and lists_of_all(families) is None:
        unread = Feature("neighbours", "item", "recent", name="pair_unread")
        families.append(Neighbours("item", [unread], config, clock, sizes, frozenset()))
    names = [column.name for family in families for column in family.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            "features", expected="each column once", found=", ".join(twice) + " twice", do="Rename a row."
        )
    unknown = sorted((wanted or frozenset()) - set(names))
    if unknown:
        raise ConfigError(
            "columns",
            expected="columns of the feature rows",
            found=", ".join(unknown),
            do="See the catalogue.",
        )
    return families
