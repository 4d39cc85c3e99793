"""The two references of the demo shop: what a log can teach at best, and the truth itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.as_of import available
from recsys.data.lists import showings
from recsys.data.prepare import Prepared
from recsys.data.requests import request_arrays
from recsys.data.sources.shop_truth import TruePreference
from recsys.evaluation.baselines.learnable import Asked, Shown, learnable_scores
from recsys.evaluation.baselines.rank import ScoreFn
from recsys.evaluation.measure import Preference

Array = NDArray[Any]
GRADES = (0.0, 1.0, 1.5, 2.0)  # nothing, click, cart, purchase


def shop_references(
    data: Prepared, rows: Array, cuts: Mapping[str, Array], folder: Path
) -> tuple[dict[str, ScoreFn], Preference | None]:
    """``learnable`` and ``oracle`` as score functions, and the true preference itself.

    Parameters
    ----------
    data : Prepared
    rows : int64 array
        The requests that are evaluated.
    cuts : mapping of key to int64 array, shape (requests,)
    folder : Path
        Where *prepare* put the true preference; data that has none gives nothing.
    """
    if not folder.is_dir():
        return {}, None
    truth = TruePreference.load(folder)
    user_at, item_at = places_of(truth, data)
    requests = request_arrays(data.requests)
    attributes, season = truth.attributes[item_at], truth.season[item_at]
    shown, at = _shown(data, truth)
    scored: list[Array] = []

    def preference(some: Array) -> Array:
        gains = truth.score(user_at[requests.user[some]], requests.time[some], item_at)
        for i, r in enumerate(some):
            gains[i, ~available(data.item_table, int(requests.time[r]))] = 0.0
        return gains

    def learnable(some: Array) -> Array:
        if not scored:  # all at once: what users share is fitted on what the earliest request sees
            asked = Asked(
                requests.user[rows], np.searchsorted(at, cuts["user"][rows]), truth.basis(requests.time[rows])
            )
            scored.append(learnable_scores(attributes, season, shown, asked))
        found: Array = scored[0][np.searchsorted(rows, some)]
        return found

    return {"learnable": learnable, "oracle": preference}, preference


def places_of(truth: TruePreference, data: Prepared) -> tuple[Array, Array]:
    """Where each user and each item, in the order of the codes, stands in the truth."""
    return _places(truth.user_id, data.users[c.USER_ID]), _places(truth.item_id, data.items[c.ITEM_ID])


def _places(order: Array, ids: pl.Series) -> Array:
    """Where each id stands in the truth's own order."""
    place = {name: i for i, name in enumerate(order.tolist())}
    return np.array([place[one] for one in ids.to_list()], np.int64)


def _shown(data: Prepared, truth: TruePreference) -> tuple[Shown, Array]:
    """Every showing with all that came of it, even later (in the reference's favour), and its position."""
    log = data.log
    at = np.flatnonzero(log.kind == c.IMPRESSION)
    grade = np.zeros(len(at))
    for kind, worth in ((c.CLICK, GRADES[1]), (c.CART, GRADES[2]), (c.PURCHASE, GRADES[3])):
        showing = showings(log, at, np.flatnonzero(log.kind == kind))
        grade[showing[showing >= 0]] = worth
    weight = truth.examined[log.position[at] - 1]
    return Shown(log.user[at], log.item[at], grade, weight, truth.basis(log.time[at])), at
