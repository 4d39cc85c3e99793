"""What the library call returns: small frozen objects of arrays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from recsys.core import columns as c

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[Any]
Fallback = Literal["none", "no_history", "unknown_user", "no_user"]
KNOWN_BY = ("nothing", "id", "text", "columns")
NOTHING, ID, TEXT, COLUMNS = range(len(KNOWN_BY))  # the values of `Answer.known`


@dataclass(frozen=True, eq=False)
class Answer:
    """Items of one request, best first. Its arrays are read-only.

    Attributes
    ----------
    item_ids : tuple of str
    scores : float64 array, shape (items,)
        The reranker's scores: comparable within the request, not beyond it. Where the bundle has rules,
        they need not fall from rank to rank.
    ranks : int32 array, shape (items,)
        From 1.
    known : int8 array, shape (items,)
        What each item was ranked by, an index into ``KNOWN_BY``: 1 ``id``, the catalogue knows it; else what
        ``items`` says of it, 2 ``text``, read by the bundle's text tower, or 3 ``columns``, where there is no
        text or no tower; 0 ``nothing``.
    fallback : {"none", "no_history", "unknown_user", "no_user"}
        What stood in for the user's past: nothing, the past itself was read; or what is known of everybody,
        since a known user or a given history has no interaction with a known item, since the bundle does not
        know the user, or since no user was asked for (as in `recsys.serving.ranker.Ranker.similar`).
    p_click, p_purchase : float64 array, shape (items,), or None
        Chances that the item is clicked and bought where it is shown, at the display position that the
        bundle's ``probabilities.position`` states; None where the bundle has learned none, or was loaded
        with ``chances=False``. Where
        requests without a label were left out (``requests.only_with_truth``, as by default where the whole
        catalogue is ranked), they are chances within lists that get something.
    """

    item_ids: tuple[str, ...]
    scores: Array
    ranks: Array
    known: Array
    fallback: Fallback
    p_click: Array | None = None
    p_purchase: Array | None = None

    def __len__(self) -> int:
        return len(self.item_ids)

    def to_polars(self) -> "pl.DataFrame":
        """A frame of the answer.

        Returns
        -------
        DataFrame
            item_id, score (Float64), rank (Int32), p_click and p_purchase where there are such, and in words
            known and fallback, the same in each row.
        """
        import polars as pl

        known = [KNOWN_BY[by] for by in self.known.tolist()]
        words = {"known": known, "fallback": [self.fallback] * len(self)}
        return pl.DataFrame(
            {c.ITEM_ID: list(self.item_ids), c.SCORE: self.scores, c.RANK: self.ranks} | self.chances | words,
            schema={c.ITEM_ID: pl.String, c.SCORE: pl.Float64, c.RANK: pl.Int32}
            | dict.fromkeys(self.chances, pl.Float64)
            | dict.fromkeys(words, pl.String),
        )

    @property
    def chances(self) -> dict[str, Array]:
        """The probabilities that there are, by name."""
        given = {c.P_CLICK: self.p_click, c.P_PURCHASE: self.p_purchase}
        return {name: chance for name, chance in given.items() if chance is not None}


@dataclass(frozen=True)
class Observed:
    """What became of the events given to ``observe``.

    Attributes
    ----------
    applied, repeated, unknown_items : int
        Events that changed the state; that were left out since their ``event_id`` was seen before; that
        were left out since their item is not in the catalogue.
    new_users : int
        Users that were not known before.
    """

    applied: int
    repeated: int
    unknown_items: int
    new_users: int
