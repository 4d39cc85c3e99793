"""All sources together: offline at ticks over a log, online for one user over the state as it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.covisit import covisit, neighbour_lists, offer_covisit
from recsys.candidates.merge import Pool, merge
from recsys.candidates.nearest import history_means, mean_of_view, nearest
from recsys.candidates.offers import Availability, Gone, Offers, best, keep_available, no_offers
from recsys.candidates.popular import popular
from recsys.candidates.popularity import Popularity
from recsys.candidates.repeat import offer_repeat, repeat
from recsys.core.as_of import Cuts
from recsys.core.checks import at_least, check_choice, check_number, check_numbers
from recsys.core.columns import EVENT_TYPES
from recsys.core.log import HISTORY, EventLog, ItemTable, RequestArrays, View
from recsys.state.family import StateConfig
from recsys.state.neighbours import Neighbours
from recsys.state.words import half_life_us

Array = NDArray[Any]
MOST_DEPTH = 2**15 - 1  # ranks are int16
SOURCES = ("popular", "repeat", "covisit", "nearest")  # in this order ties of rank are settled


@dataclass(frozen=True)
class CandidatesConfig:
    """How much each source offers.

    Parameters
    ----------
    depths : mapping of source to int
        Items a request; 0 turns a source off.
    half_life : str
        Of popularity, such as "14d" or "all"; without a clock counts never fade.
    weights : mapping of event type to float
        What one event is worth in popularity.
    nearest_by : {"text", "interest"}
        What ``nearest`` compares: the mean of the recent items' pretrained text vectors, or the user
        tower's click vector with the trained ones. The caller hands over the vectors accordingly.
    nearest_last : int
        How many of the user's newest items make the mean that ``nearest`` asks with, by text.
    whole_catalogue_below : int
        A catalogue smaller than this is pooled whole; mind the rows, requests times items.
    """

    depths: Mapping[str, int] = field(
        default_factory=lambda: {"popular": 100, "repeat": 50, "covisit": 100, "nearest": 100}
    )
    half_life: str = "14d"
    weights: Mapping[str, float] = field(
        default_factory=lambda: {"click": 1.0, "cart": 2.0, "purchase": 3.0, "rating": 1.0}
    )
    nearest_by: Literal["text", "interest"] = "interest"
    nearest_last: int = 50
    whole_catalogue_below: int = 0

    def __post_init__(self) -> None:
        for source, depth in self.depths.items():
            check_choice(f"candidates.depths.{source}", source, SOURCES)
            check_number(f"candidates.depths.{source}", depth, at_least(0, MOST_DEPTH))
        for kind, weight in self.weights.items():
            check_choice(f"candidates.weights.{kind}", kind, EVENT_TYPES)
            check_number(f"candidates.weights.{kind}", weight, at_least(0))
        half_life_us(self.half_life, True, "candidates.half_life")
        check_choice("candidates.nearest_by", self.nearest_by, ("text", "interest"))
        check_numbers(
            self, "candidates", nearest_last=at_least(1, HISTORY), whole_catalogue_below=at_least(0)
        )

    def whole(self, items: ItemTable) -> bool:
        """Whether the catalogue is small enough to be pooled whole."""
        return len(items.category) < self.whole_catalogue_below

    def active(self) -> tuple[str, ...]:
        """The sources that offer something, in the order of `SOURCES`, however they are told."""
        return tuple(source for source in SOURCES if self.depths.get(source, 0) > 0)


def new_popularity(config: CandidatesConfig, n_items: int, clock: bool) -> Popularity:
    """What popularity counts, before the first event."""
    return Popularity(config.weights, config.half_life, n_items, clock)


def popularity_at(
    log: EventLog, items: ItemTable, stop: int, config: CandidatesConfig, clock: bool
) -> Popularity:
    """Popularity at the tick ``stop``: for the bundle, which gives its list and goes on with its counts."""
    found = new_popularity(config, len(items.category), clock)
    found.extend(log, items, stop)
    return found


def offer_all(
    log: EventLog,
    items: ItemTable,
    requests: RequestArrays,
    cuts: Cuts,
    config: CandidatesConfig,
    *,
    clock: bool,
    state: StateConfig | None = None,
    vectors: Array | None = None,
    queries: Array | None = None,
    gone: Gone | None = None,
) -> dict[str, Offers]:
    """Every active source's offers for the same requests.

    Parameters
    ----------
    log, items, requests
    cuts : mapping of key to int64 array, shape (requests,)
        With ``Policy(shared_snapshot="daily")``: the shared keys are the ticks, the own keys are live.
    config : CandidatesConfig
    clock : bool
        Whether times are real.
    state : StateConfig, optional
        For the sizes and decay of the neighbour lists, so that they are those of the model's state.
    vectors : float32 array, shape (items, D), optional
        Without it ``nearest`` offers nothing.
    queries : float32 array, shape (requests, D), optional
        User vectors to ask with; the mean of the recent items' vectors where none are given.
    gone : Gone, optional
        What each request is not offered, whatever its place: the next best stands there.
    """
    n_users = int(max(log.user.max(initial=-1), requests.user.max(initial=-1))) + 1
    own, shared = cuts["user"], cuts["item"]

    def of_popular(depth: int) -> Offers:
        counts = new_popularity(config, len(items.category), clock)
        return popular(counts.family, counts.weights, log, items, requests, shared, depth, gone)

    def of_covisit(depth: int) -> Offers:
        family = neighbour_lists(state or StateConfig(), n_users, len(items.category), clock)
        return covisit(family, log, items, requests, own, shared, depth, gone)

    def of_nearest(depth: int) -> Offers:
        if vectors is None:
            return no_offers(len(requests.user), depth)
        asked = (
            history_means(log, requests, own, vectors, config.nearest_last) if queries is None else queries
        )
        return nearest(vectors, asked, items, requests.time, depth, gone)

    sources: dict[str, Callable[[int], Offers]] = {
        "popular": of_popular,
        "repeat": lambda depth: repeat(log, items, requests, own, depth, gone),
        "covisit": of_covisit,
        "nearest": of_nearest,
    }
    return {source: sources[source](config.depths[source]) for source in config.active()}


def make_pool(
    offers: Mapping[str, Offers],
    items: ItemTable,
    requests: RequestArrays,
    config: CandidatesConfig,
    gone: Gone | None = None,
) -> Pool:
    """Unite the offers; a small catalogue whole, less what a request is not offered."""
    return merge(offers, items, requests.time, whole=config.whole(items), gone=gone)


class LiveSources:
    """The same sources for one user at a time, over the state as it is.

    Parameters
    ----------
    config : CandidatesConfig
    items : ItemTable
    popular : pair of arrays
        The popular list at the last tick, as `Popularity.ranked` gives it.
    neighbours : Neighbours, optional
        The lists of the live state; without them ``covisit`` offers nothing.
    vectors : float32 array, shape (items, D), optional
    """

    def __init__(
        self,
        config: CandidatesConfig,
        items: ItemTable,
        popular: tuple[Array, Array],
        neighbours: Neighbours | None,
        vectors: Array | None,
    ) -> None:
        self._config, self._items, self._popular = config, items, popular
        self._neighbours, self._vectors = neighbours, vectors
        self._availability = Availability(items)

    def offer(
        self, view: View, *, wanted: Array | None = None, least: int = 0, query: Array | None = None
    ) -> Pool:
        """The pool of one request.

        Parameters
        ----------
        view : View
            Its time decides what can be had.
        wanted : bool array, shape (items,), optional
            The items that may be in the pool, all by default; no source spends a place on another.
        least : int
            Where all sources together offer fewer, other wanted items that can be had are appended, in
            the order of codes.
        query : float32 array, shape (D,), optional
            What ``nearest`` asks with; the mean of the recent items' vectors where none is given.
        """
        mask = self._availability.at(view.time)
        if wanted is not None:
            mask = mask & wanted
        offers = {source: self._one(source, view, mask, query) for source in self._config.active()}
        pool = merge(offers, self._items, np.array([view.time]), whole=self._config.whole(self._items))
        keep = mask[pool.items]  # the rest of a whole catalogue comes from no source
        pool = pool if keep.all() else pool.take(np.flatnonzero(keep))
        return pool if len(pool.items) >= least else self._filled(pool, mask, least)

    def _filled(self, pool: Pool, mask: Array, least: int) -> Pool:
        """With further items of the mask, which no source offered."""
        rest = mask.copy()
        rest[pool.items] = False
        more = np.flatnonzero(rest)[: least - len(pool.items)].astype(np.int32)
        empty = (len(more), len(pool.sources))
        return pool._replace(
            offsets=np.array([0, len(pool.items) + len(more)], np.int64),
            items=np.concatenate([pool.items, more]),
            ranks=np.concatenate([pool.ranks, np.zeros(empty, np.int16)]),
            scores=np.concatenate([pool.scores, np.full(empty, np.nan, np.float32)]),
        )

    def available(self, time: int) -> Array:
        """The items that can be had at a time: bool, shape (items,)."""
        return self._availability.at(time)

    def _one(self, source: str, view: View, mask: Array, query: Array | None) -> Offers:
        offers = no_offers(1, self._config.depths[source])
        places = offers.items[0], offers.scores[0]
        if source == "popular":
            keep_available(*self._popular, mask, *places)
        elif source == "repeat":
            offer_repeat(view, mask, *places)
        elif source == "covisit" and self._neighbours is not None:
            offer_covisit(self._neighbours, view, self._items, mask, *places)
        elif source == "nearest" and self._vectors is not None:
            if query is None:
                query = np.zeros(self._vectors.shape[1], np.float32)
                mean_of_view(self._vectors, view, self._config.nearest_last, query)
            if query.any():
                best(self._vectors @ query, mask, -np.inf, *places)
        return offers
