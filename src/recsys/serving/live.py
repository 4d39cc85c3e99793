"""Candidates and features of one request, from the bundle's state as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.merge import RANK_PREFIX, SCORE_PREFIX, Pool
from recsys.candidates.sources import LiveSources
from recsys.core.columns import CONTEXT_PREFIX
from recsys.core.errors import shown
from recsys.core.log import View
from recsys.features.attributes import ITEM_PREFIX, as_number
from recsys.interest.score import INTEREST_COLUMNS, score_view
from recsys.interest.user import user_vectors
from recsys.ranking.first_stage import FIRST_STAGE, select, select_top
from recsys.serving.answers import COLUMNS, TEXT
from recsys.serving.asker import Asker
from recsys.serving.bundle import Bundle, bundle_error
from recsys.serving.frame import ColumnPlan
from recsys.serving.new_items import NewItems
from recsys.state.neighbours import lists_of_all

Array = NDArray[Any]


class LiveFeatures:
    """The rooms of the house that a request passes through, on a loaded bundle.

    Parameters
    ----------
    bundle : Bundle
        Its state is read as it stands at each call.

    Raises
    ------
    BundleError
        For trees that name columns which nothing gives, and a state without the lists that a source reads.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        vectors, dims = bundle.vectors, 0
        if vectors is not None:
            dims = vectors.raw.shape[1]
        self._new_items = NewItems(bundle.text, bundle.text_columns, dims, bundle.ids)
        source_columns = [p + s for s in bundle.candidates.active() for p in (RANK_PREFIX, SCORE_PREFIX)]
        self._context = tuple(name for name in bundle.columns if name.startswith(CONTEXT_PREFIX))
        blocks: dict[str, Sequence[str]] = {
            "state": bundle.state.names,
            "interest": INTEREST_COLUMNS if bundle.tower is not None else (),
            "item": bundle.item_attributes.names,
            "user": bundle.user_attributes.names,
            "context": self._context,
            "sources": source_columns,
        }
        self._first = bundle.first_stage
        self._first_plan = None
        if self._first is not None:
            described = {name: blocks[name] for name in ("state", "interest")}
            self._first_plan = ColumnPlan(self._first.columns, described)
            blocks["first_stage"] = [name for name in bundle.columns if name.startswith(FIRST_STAGE)]
        self._plan = ColumnPlan(bundle.columns, blocks)
        self._wanted = {*self._plan.blocks, *(self._first_plan.blocks if self._first_plan else ())}
        self._by_interest = bundle.candidates.nearest_by == "interest" and bundle.tower is not None
        asked = None if vectors is None else vectors.tuned if self._by_interest else vectors.raw
        lists = lists_of_all(bundle.state.families)
        if lists is None and "covisit" in bundle.candidates.active():
            raise bundle_error(
                f"the state of the model folder {bundle.folder}",
                "neighbour lists over all interactions, which the source covisit reads",
                ", ".join(family.name for family in bundle.state.families),
            )
        self._sources = LiveSources(bundle.candidates, bundle.state.items, bundle.popular, lists, asked)

    def offer(self, view: View, wanted: Array | None = None, least: int = 0) -> Pool:
        """The pool of one request; see `recsys.candidates.sources.LiveSources.offer`."""
        return self._sources.offer(view, wanted=wanted, least=least, query=self._query(view))

    def available(self, time: int) -> Array:
        """The items that can be had at a time: bool, shape (items,)."""
        return self._sources.available(time)

    def select(self, asker: Asker, pool: Pool, least: int = 0) -> Pool:
        """The rows of a pool that are worth all columns, as the reranker's own were chosen; or ``least``."""
        config = self._bundle.select
        config = replace(config, n=max(config.n, least)) if least > config.n else config
        if self._first is None:
            return pool.take(select(pool.offsets, pool.ranks, pool.sources, config))
        scores = self._first_scores(self._described(asker, pool.items, {}))
        return pool.take(select_top(pool.offsets, scores, config.n))

    def _first_scores(self, described: Mapping[str, Array]) -> Array:
        assert self._first is not None and self._first_plan is not None
        return self._first.score(self._first_plan.put(described))

    def _query(self, view: View) -> Array | None:
        """What ``nearest`` asks with, where that is the user tower's click vector."""
        vectors, tower = self._bundle.vectors, self._bundle.tower
        if not self._by_interest or vectors is None or tower is None:
            return None
        heads = np.empty(tower.prior.shape, np.float32)
        user_vectors(tower, vectors.tuned, view.n, view.items, view.kinds, view.times, heads)
        query: Array = heads[0]
        return query

    def values(
        self,
        asker: Asker,
        codes: Array,
        unknown: Mapping[int, Mapping[str, Any]],
        context: Mapping[str, float] | None,
        pool: Pool | None = None,
    ) -> Array:
        """The frame of one request.

        Parameters
        ----------
        asker : Asker
        codes : int32 array, shape (items,)
            -1 unknown.
        unknown : mapping of place to an item's columns
            Describes the item at a place whose code is -1.
        context : mapping of column name to number, optional
        pool : Pool, optional
            What the sources offered, if they were asked already.

        Returns
        -------
        float32 array, shape (items, columns)

        Raises
        ------
        ValueError
            For a context that is no mapping, and for what is no number in it or in a description.
        """
        if context is not None and not isinstance(context, Mapping):
            raise ValueError(f"context: expected a mapping of columns to numbers; found {shown(context)}")
        bundle, n = self._bundle, len(codes)
        values = self._described(asker, codes, unknown)
        for block in self._plan.blocks:
            if block == "first_stage":
                values[block] = self._first_scores(values)[:, None]
            elif block == "item":
                values[block] = bundle.item_attributes.of(codes)
                for place, given in unknown.items():
                    values[block][place] = bundle.item_attributes.encode(given, ITEM_PREFIX)
            elif block == "user":
                values[block] = bundle.user_attributes.of(np.full(1, asker.user)).repeat(n, axis=0)
            elif block == "context":
                values[block] = np.tile(self._context_row(context or {}), (n, 1))
            elif block == "sources":
                values[block] = self._source_columns(asker.view, codes, pool)
        return self._plan.put(values)

    def known(self, codes: Array, unknown: Mapping[int, Mapping[str, Any]]) -> Array:
        """What items are known by, as in `recsys.serving.answers.Answer`: int8 (items,)."""
        found: Array = (codes >= 0).view(np.int8)  # 1 is an id, 0 nothing
        for place, given in unknown.items():
            found[place] = TEXT if self._new_items.reads(given) else COLUMNS
        return found

    def _described(
        self, asker: Asker, codes: Array, unknown: Mapping[int, Mapping[str, Any]]
    ) -> dict[str, Array]:
        """Behaviour and interest columns of some items, where the trees or the first stage read them."""
        values: dict[str, Array] = {}
        if "state" in self._wanted:
            values["state"] = asker.state.read(asker.view, codes)
        if "interest" in self._wanted and self._bundle.tower is not None:
            values["interest"] = self.interest(asker.view, codes, unknown)
        return values

    def interest(self, view: View, codes: Array, unknown: Mapping[int, Mapping[str, Any]]) -> Array:
        """Interest columns of some items: float32 (items, 9); the bundle has vectors."""
        tower, stored = self._bundle.tower, self._bundle.vectors
        assert tower is not None and stored is not None
        tuned, raw = self._new_items.vectors(unknown, len(codes)) if unknown else (None, None)
        return score_view(tower, stored.tuned, stored.raw, view, codes, tuned, raw)

    def text_vector(self, code: int, given: Mapping[str, Any] | None) -> Array | None:
        """What an item's text says before any training: float32 (dims,), None where nothing is known."""
        stored = self._bundle.vectors
        if stored is None:
            return None
        if 0 <= code < len(stored.raw):
            found: Array = np.asarray(stored.raw[code])
        elif given is not None:
            found = self._new_items.vectors({0: given}, 1)[1][0]
        else:
            return None
        return None if np.isnan(found).any() else found

    def _context_row(self, context: Mapping[str, float]) -> Array:
        given = {str(name).removeprefix(CONTEXT_PREFIX): value for name, value in context.items()}
        names = [name.removeprefix(CONTEXT_PREFIX) for name in self._context]
        return np.array([as_number(given.get(name, np.nan), f"context {name}") for name in names], np.float32)

    def _source_columns(self, view: View, codes: Array, pool: Pool | None) -> Array:
        """Rank and score of each source, NaN where it did not offer the item."""
        if pool is None:
            pool = self.offer(view)
        out = np.full((len(codes), 2 * len(pool.sources)), np.nan, np.float32)
        place_of = {item: place for place, item in enumerate(pool.items.tolist())}
        for row, code in enumerate(codes.tolist()):
            place = place_of.get(code)
            if place is not None:
                ranks = pool.ranks[place].astype(np.float32)
                out[row, 0::2] = np.where(ranks > 0, ranks, np.nan)
                out[row, 1::2] = pool.scores[place]
        return out
