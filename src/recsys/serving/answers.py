"""What the library call returns: small frozen objects of arrays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from recsys.core import columns as c

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Answer:
    """Items of one request, best first.

    Attributes
    ----------
    item_ids : tuple of str
    scores : float64 array, shape (items,)
        The reranker's scores: comparable within the request, not beyond it. Where the bundle has rules,
        they need not fall from rank to rank.
    ranks : int32 array, shape (items,)
        From 1.
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
    p_click: Array | None = None
    p_purchase: Array | None = None

    def __len__(self) -> int:
        return len(self.item_ids)

    def to_polars(self) -> "pl.DataFrame":
        """A frame item_id, score (Float64), rank (Int32), and p_click, p_purchase where there are such."""
        import polars as pl

        return pl.DataFrame(
            {c.ITEM_ID: list(self.item_ids), c.SCORE: self.scores, c.RANK: self.ranks} | self.chances,
            schema={c.ITEM_ID: pl.String, c.SCORE: pl.Float64, c.RANK: pl.Int32}
            | dict.fromkeys(self.chances, pl.Float64),
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
