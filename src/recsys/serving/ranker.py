"""The library call: load a bundle, rank items for a user, tell it what happened, recommend.

Needs neither torch nor LightGBM, MLflow or Hydra; polars only where a frame is asked for.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.merge import Pool
from recsys.core.errors import shown
from recsys.serving.answers import Answer, Observed
from recsys.serving.asked_items import Described, asked_items
from recsys.serving.asker import Asker, asker_of
from recsys.serving.bundle import Bundle
from recsys.serving.eligible import Where, eligible
from recsys.serving.judged import Judged, answer_of
from recsys.serving.last_steps import LastSteps
from recsys.serving.live import LiveFeatures
from recsys.serving.many import answer_many
from recsys.serving.observer import At, Observer
from recsys.serving.registry import model_folder
from recsys.serving.similar import By, SimilarItems

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[Any]


class Ranker:
    """A model in use. One lock: any thread may call, one at a time is served.

    Make it with `Ranker.load`.

    Attributes
    ----------
    bundle : Bundle
        What was loaded; its state is this ranker's own and moves with `observe`.
    columns : tuple of str
        What the trees read.
    chances : bool
        Whether answers have the chances that the bundle has.
    """

    def __init__(self, bundle: Bundle, *, chances: bool = True) -> None:
        self.bundle, self.columns, self.chances = bundle, bundle.columns, chances
        self._items, self._lock = bundle.items, threading.RLock()
        self._told = Observer(bundle)
        self._live = LiveFeatures(bundle)
        self._last = LastSteps(bundle)
        self._similar = SimilarItems(bundle, self._live.text_vector)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = False, chances: bool = True) -> "Ranker":
        """Open a model folder.

        Parameters
        ----------
        path : path
            The folder ``model/`` of a run, or where mlflow is installed the URI of a logged model, such as
            ``models:/recsys@champion`` (see `recsys.serving.registry.model_folder`).
        verify : bool
            Compare every file with its hash; sizes are always compared.
        chances : bool
            Give ``p_click`` and ``p_purchase`` where the bundle has learned them. False saves their trees,
            in memory and at each call, and every answer has None; order and scores stay the same. Where the
            rules order by value, which takes the chance of a purchase, they are computed all the same.

        Raises
        ------
        BundleError
            For a missing, damaged or foreign folder, or trees that name columns it cannot give.
        """
        return cls(Bundle.load(model_folder(path), verify=verify, chances=chances), chances=chances)

    @property
    def state_time(self) -> int:
        """Microseconds: the latest event that the state has seen."""
        return self._told.time

    @property
    def position(self) -> int:
        """How many events the state has seen."""
        return self.bundle.state.position

    def rank(
        self,
        user_id: str | None = None,
        item_ids: Iterable[str] | None = None,
        *,
        history: Iterable[Any] | None = None,
        items: Sequence[Mapping[str, Any]] = (),
        at: At = None,
        context: Mapping[str, float] | None = None,
        k: int | None = None,
    ) -> Answer:
        """Order items for a user.

        Parameters
        ----------
        user_id : str, optional
            None or an unknown user: an empty history.
        item_ids : iterable of str, optional
            What to rank; those of ``items`` if left out. An unknown item is ranked by what is left
            without its code; one that stands twice is scored once and stands twice in the answer.
        history : iterable, optional
            In the place of a user: what somebody did, as (item_id, event_type, timestamp), as mappings, or
            as a polars frame of these columns. It is not remembered.
        items : sequence of mappings
            Descriptions (item_id, title, ...) of items that the catalogue may not know: their texts are
            encoded on the spot where the bundle has its text tower.
        at : datetime with time zone, "state", optional
            When the request is made: the wall clock by default, or the time of the latest event. Data
            without a clock always take the latter.
        context : mapping of column name to number, optional
            ``ctx_*`` columns, with or without the prefix.
        k : int, optional
            How many of the best to return; all by default.

        Returns
        -------
        Answer
            Best first; equal scores keep the order in which they were given. By the bundle's rules, where it
            has some: fewer items where they bar or cap, and an order that is not that of the scores.

        Raises
        ------
        ValueError
            For a time without zone or before what the state has seen, a user and a history at once, an event
            of the history that cannot be used, ``k`` below 1, one of ``items`` without an item_id, a word in
            a numeric column of ``items`` or ``context``, what is no id, and any argument of a wrong type.
        """
        k = None if k is None else _checked(k)
        asked = asked_items(item_ids, items)
        with self._lock:
            asker = asker_of(self.bundle, user_id, history, self._told.moment(at))
            codes, unknown = asked.among(self._items)
            judged = self._judge(asker, codes, unknown, context)
        if asked.repeats:
            judged, codes = judged.take(asked.places), codes[asked.places]
            unknown = asked.repeated(unknown)
        best = self._last.places(asker.view.time, asked.ids, codes, judged, k, unknown)
        return answer_of([asked.ids[i] for i in best], judged.take(best), asker.fallback, self.chances)

    def rank_many(self, requests: "pl.DataFrame", *, at: At = None, k: int | None = None) -> "pl.DataFrame":
        """Answer a frame of requests in one frame; see `recsys.serving.many.answer_many`."""
        return answer_many(self, requests, at, k)

    def features(
        self,
        user_id: str | None,
        item_ids: Sequence[str],
        *,
        at: At = None,
        context: Mapping[str, float] | None = None,
    ) -> Array:
        """What the trees see: float32, shape (items, `columns`), in the order of ``item_ids``."""
        with self._lock:
            asker = asker_of(self.bundle, user_id, None, self._told.moment(at))
            return self._live.values(asker, self._items.encode(asked_items(item_ids).ids), {}, context)

    def recommend(
        self,
        user_id: str | None = None,
        k: int = 10,
        *,
        history: Iterable[Any] | None = None,
        exclude_seen: bool = True,
        where: Where = None,
        at: At = None,
        context: Mapping[str, float] | None = None,
    ) -> Answer:
        """The best ``k`` items of the catalogue that can be had, through the candidate sources.

        Parameters
        ----------
        user_id, k, history, at, context
            As in `rank`.
        exclude_seen : bool
            Leave out the items of the user's recent history; no source offers them.
        where : mapping, or iterable of str or bool, optional
            Which items may be recommended: a bool for each item in the order of ``bundle.items``, an item
            column and the value or values that it must have (``{"category": "lamps"}``), or item ids. No
            source spends a place on another item.

        Returns
        -------
        Answer
            Fewer than ``k`` items only where fewer may be given, or the bundle's rules bar or cap some.

        Raises
        ------
        ValueError
            As in `rank`; and for a ``where`` that names no column of items.
        """
        k = min(_checked(k), max(len(self._items), 1))  # there are no more
        if not isinstance(exclude_seen, (bool, np.bool_)):
            raise ValueError(f"exclude_seen: expected true or false; found {shown(exclude_seen)}")
        with self._lock:
            asker = asker_of(self.bundle, user_id, history, self._told.moment(at))
            some = wanted = eligible(self.bundle, where)
            if exclude_seen and asker.view.n:
                wanted = np.ones(len(self._items), np.bool_) if some is None else some.copy()
                wanted[asker.view.items[: asker.view.n]] = False
            # so many for every k up to select.n: a longer list begins with the shorter one
            pool = self._live.offer(asker.view, wanted, max(k, self.bundle.select.n))
            rows = self._live.select(asker, pool, k)
            pinned = self._last.pinned(rows.items)
            codes = np.concatenate([rows.items, pinned if some is None else pinned[some[pinned]]])
            judged = self._judge(asker, codes, {}, context, rows)
            ids = self._items.decode(codes) if self._last.any else ()
            best = self._last.places(asker.view.time, ids, codes, judged, k)
            return answer_of(self._items.decode(codes[best]), judged.take(best), asker.fallback, self.chances)

    def similar(
        self,
        item: str | Mapping[str, Any],
        k: int = 10,
        *,
        by: By = "both",
        where: Where = None,
        at: At = None,
    ) -> Answer:
        """The ``k`` items of the catalogue most like one.

        Parameters
        ----------
        item : str or mapping
            An item id, or the description (item_id, title, ...) of an item that the catalogue may not know;
            words to search by are such a text, and `rank` orders what is found.
        k : int
        by : {"text", "behaviour", "both"}
            What their texts say, what users did after it, or both; see
            `recsys.serving.similar.SimilarItems.of`.
        where, at
            As in `recommend`.

        Returns
        -------
        Answer
            Scores are of this question alone. Empty for an item of which nothing is known.

        Raises
        ------
        ValueError
            As in `recommend`; for another ``by``, and for ``by="text"`` on a bundle without vectors.
        """
        k = _checked(k)
        with self._lock:
            wanted, some = self._live.available(self._told.moment(at)), eligible(self.bundle, where)
            codes, scores = self._similar.of(item, k, by, wanted if some is None else wanted & some)
            judged = Judged(scores, self._live.known(codes, {}), {})
            return answer_of(self._items.decode(codes), judged, "no_user")

    def _judge(
        self,
        asker: Asker,
        codes: Array,
        unknown: Described,
        context: Mapping[str, float] | None,
        pool: Pool | None = None,
    ) -> Judged:
        """What the trees say of items, whose columns `recsys.serving.live.LiveFeatures.values` gives."""
        chances, values = self.bundle.probabilities, self._live.values(asker, codes, unknown, context, pool)
        scores, known = self.bundle.trees.predict(values), self._live.known(codes, unknown)
        return Judged(scores, known, {} if chances is None else chances.predict(values))

    def observe(self, events: Any) -> Observed:
        """Tell the model what happened; the next call knows it.

        Parameters
        ----------
        events : polars frame, or iterable of mappings or of tuples
            See `recsys.serving.events.parse_events`. Applied in the order given, late ones too; an event
            id that this ranker was told before is left out, so is an event of an unknown item; an unknown
            user becomes known.

        Returns
        -------
        Observed

        Raises
        ------
        DataError
            Names the event that cannot be used, or whose time lies over a day ahead of the clock; then none
            was applied.
        """
        with self._lock:
            return self._told.apply(events)


def _checked(k: int) -> int:
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k must be a whole number, at least 1; found {shown(k)}")
    return int(k)
