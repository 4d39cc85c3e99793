"""What the demo shop shows: a known random policy, so that each shown item has a propensity.

A list is drawn item by item from one mixture q(item | user, day), without replacement:

- *search*: the user's taste and the season choose a category with a style, a material or a use (one
  kind of pair at a time); an available item of that pair is shown, all of them alike;
- *popular*: an available item in proportion to its clicks of earlier days, halved each week;
- *random*: any available item.

The propensity of the item at position k is q(item) / (1 - sum of q over the items above it): the chance
that the policy shows this item there, given what it showed above. A draw of an item that is already in
the list is discarded, which is the same thing as drawing without replacement.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.data.sources.shop_items import BLOCKS, Catalogue
from recsys.data.sources.shop_truth import TruePreference, on_grid

Array = NDArray[Any]

PAIRS = ("style", "material", "use")
SEARCH, POPULAR, RANDOM = 0.6, 0.2, 0.2
SHARPNESS = 1.0  # how strongly a search follows the taste
DRAWS = 3  # draws a place of the list; the list is shorter where they repeat each other


class Kind(NamedTuple):
    """Pairs of (category, value of one attribute), the items sorted by pair and arrival."""

    group: Array  # the pair of each item
    order: Array  # items sorted by pair, then arrival
    start: Array  # where each pair's items begin in ``order``
    arrival: Array  # available_from in that order
    columns: tuple[slice, slice]  # the category's and the other attribute's tastes
    season: Array  # season weights of each pair, shape (pairs, 2)


class Policy(NamedTuple):
    kinds: tuple[Kind, ...]
    arrival: Array  # available_from of all items, ascending


class Shown(NamedTuple):
    """Shown items, row by row and in the order of display; arrays of shape (shown,)."""

    row: Array
    item: Array
    position: Array  # from 1
    propensity: Array


def _columns(block: str) -> slice:
    start = 0
    for name, values in BLOCKS:
        if name == block:
            return slice(start, start + len(values))
        start += len(values)
    raise KeyError(block)


def make_policy(catalogue: Catalogue, truth: TruePreference) -> Policy:
    """Index the catalogue by the pairs that a search can name; items must be sorted by arrival."""
    sizes = {name: len(values) for name, values in BLOCKS}
    kinds = []
    for name in PAIRS:
        n = sizes["category"] * sizes[name]
        group = catalogue.values["category"] * sizes[name] + catalogue.values[name]
        order = np.argsort(group, kind="stable")
        start = np.searchsorted(group[order], np.arange(n + 1))
        season = np.zeros((n, 2))
        if name == "use":
            season[group] = truth.season
        columns = (_columns("category"), _columns(name))
        kinds.append(Kind(group, order, start, catalogue.available_from[order], columns, season))
    return Policy(tuple(kinds), catalogue.available_from)


def _count(kind: Kind, now: int) -> Array:
    """How many items of each pair can be had."""
    there = np.concatenate([[0], np.cumsum(kind.arrival <= now)])
    counted: Array = there[kind.start[1:]] - there[kind.start[:-1]]
    return counted


def _chances(kind: Kind, tastes: Array, basis: Array, count: Array) -> Array:
    """P(pair | user) for each row: softmax of taste and season over the pairs that have an item."""
    category, other = tastes[:, kind.columns[0]], tastes[:, kind.columns[1]]
    utility = (category[:, :, None] + other[:, None, :]).reshape(len(tastes), -1) + kind.season @ basis
    utility = np.where(count > 0, utility, -np.inf)
    weight = on_grid(np.exp(SHARPNESS * (utility - utility.max(axis=1, keepdims=True))))
    chances: Array = weight / weight.sum(axis=1, keepdims=True)
    return chances


def _draw_rows(rng: np.random.Generator, chances: Array, rows: Array) -> Array:
    """One draw of a column from ``chances[row]`` for each entry of ``rows``."""
    cumulative = np.cumsum(chances, axis=1)
    cumulative[:, -1] = 1.0
    cumulative += np.arange(len(chances))[:, None]
    drawn = np.searchsorted(cumulative.ravel(), rows + rng.random(len(rows)), side="right")
    column: Array = np.minimum(drawn - rows * chances.shape[1], chances.shape[1] - 1)
    return column


def show(
    rng: np.random.Generator,
    policy: Policy,
    tastes: Array,
    basis: Array,
    popularity: Array,
    now: int,
    size: int,
) -> Shown:
    """Draw a list for each row of ``tastes`` from what is available at ``now``.

    Parameters
    ----------
    tastes : float64, shape (rows, D)
    basis : float64, shape (2,)
        Cosine and sine of the time of year.
    popularity : float64, shape (items,)
        Decayed clicks of earlier days; zero for items that are not there yet.
    now : int
        Microseconds UTC; later arrivals are not shown.
    size : int
        Places of a list.
    """
    n_there = int(np.searchsorted(policy.arrival, now, side="right"))
    rows = np.repeat(np.arange(len(tastes)), DRAWS * size)
    luck = rng.random(len(rows))
    item = (rng.random(len(rows)) * n_there).astype(np.int64)  # random
    total = float(popularity.sum())
    popular = SEARCH + POPULAR if total > 0 else SEARCH
    pick = (luck >= SEARCH) & (luck < popular)
    if total > 0:
        cumulative = np.cumsum(popularity)
        item[pick] = np.searchsorted(cumulative, rng.random(int(pick.sum())) * cumulative[-1], side="right")
    q = np.full(len(rows), (1.0 - popular) / n_there)
    chances = []
    for k, kind in enumerate(policy.kinds):
        count = _count(kind, now)
        chance = _chances(kind, tastes, basis, count)
        pick = (luck >= k * SEARCH / len(PAIRS)) & (luck < (k + 1) * SEARCH / len(PAIRS))
        pair = _draw_rows(rng, chance, rows[pick])
        place = (rng.random(len(pair)) * count[pair]).astype(np.int64)
        item[pick] = kind.order[kind.start[pair] + place]
        chances.append((kind.group, chance / np.maximum(count, 1)))
    for group, each in chances:
        q += (SEARCH / len(PAIRS)) * each[rows, group[item]]
    if total > 0:
        q += POPULAR * popularity[item] / total
    return _without_repeats(rows, item, q, size, len(policy.arrival))


def by_popularity(shown: Shown, popularity: Array) -> Shown:
    """The same lists, the most popular items first; where they stand is then no draw of a known chance."""
    order = np.lexsort((shown.position, -popularity[shown.item], shown.row))
    unknown = np.full(len(order), np.nan)
    return Shown(shown.row, shown.item[order], shown.position, unknown)  # rows stand together already


def _without_repeats(rows: Array, item: Array, q: Array, size: int, n_items: int) -> Shown:
    """Keep the first draw of each item in a row, and the first ``size`` of those."""
    _, first = np.unique(rows * n_items + item, return_index=True)
    first.sort()
    rows, item, q = rows[first], item[first], q[first]
    begins = np.searchsorted(rows, rows, side="left")
    position = np.arange(len(rows)) - begins + 1
    cumulative = np.concatenate([[0.0], np.cumsum(q)])
    above = cumulative[:-1] - cumulative[begins]
    keep = position <= size
    propensity = np.clip(q / np.maximum(1.0 - above, 1e-12), 1e-12, 1.0)
    return Shown(rows[keep], item[keep], position[keep], propensity[keep])
