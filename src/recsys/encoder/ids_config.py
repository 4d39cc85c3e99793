"""What can be set about the id part of item vectors; no torch here."""

from collections.abc import Mapping
from dataclasses import dataclass

from recsys.core.checks import Range, above, at_least, check_choice, check_number, check_numbers
from recsys.core.errors import ConfigError

USUAL_IDS = ("item_id", "category", "brand")


@dataclass(frozen=True)
class IdsConfig:
    """The id part of item vectors: what the values of some item columns add to the text's vector.

    Parameters
    ----------
    kind : {"none", "plain", "torchrec"}
        Whether there is one, and what holds its tables: torch alone, or torchrec, whose tables can be cut
        into shards over several processes. Both give the same numbers.
    columns : tuple of str
        Columns of items, of words or whole numbers; of the usual three, those that are there.
    buckets : int, or mapping of column to int
        Rows of a column's table, which values share by their hash. A table takes 4 bytes a row and
        dimension.
    dropout : float
        Chance that an item's id part is left out in a training step, so that an item works on its text
        alone.
    length : float
        The id part is shorter than this, the text's vector having length one (each column's part than its
        share). In a large catalogue the first places are won at the tail of the scores: even ids of a
        fraction of the texts' spread leave no place to an item without them, however good its text.
    lr : float
        Learning rate of the tables (row-wise Adagrad).
    """

    kind: str = "none"
    columns: tuple[str, ...] = USUAL_IDS
    buckets: int | Mapping[str, int] = 16_384
    dropout: float = 0.2
    length: float = 0.015
    lr: float = 0.003

    def __post_init__(self) -> None:
        check_choice("encoder.ids.kind", self.kind, ("none", "plain", "torchrec"))
        check_numbers(
            self, "encoder.ids", dropout=Range(0, 1, open_most=True), length=above(0), lr=at_least(0)
        )
        if isinstance(self.buckets, Mapping):
            for column, rows in self.buckets.items():
                check_number(f"encoder.ids.buckets.{column}", rows, at_least(1))
        else:
            check_number("encoder.ids.buckets", self.buckets, at_least(1))
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise ConfigError(
                "encoder.ids.columns",
                expected="columns of items, each once",
                found=", ".join(self.columns) or "none",
                do="Name at least item_id; encoder.ids.kind=none leaves the id part out.",
            )
