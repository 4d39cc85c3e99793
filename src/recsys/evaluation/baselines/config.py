"""Settings of the baselines that learn, with the defaults that their papers and libraries give."""

from dataclasses import dataclass

from recsys.core.checks import Range, above, at_least, check_choice, check_numbers
from recsys.core.errors import ConfigError


@dataclass(frozen=True)
class ItemKnnConfig:
    """Knobs of `item_knn.learn_item_knn`.

    Parameters
    ----------
    similarity : {"cosine", "bm25"}
        Of the sets of users who had two items.
    neighbours : int
        The most similar items of each that count.
    """

    similarity: str = "cosine"
    neighbours: int = 100

    def __post_init__(self) -> None:
        check_choice("evaluation.item_knn.similarity", self.similarity, ("cosine", "bm25"))
        check_numbers(self, "evaluation.item_knn", neighbours=at_least(1))


@dataclass(frozen=True)
class EaseConfig:
    """Knobs of `ease.learn_ease`.

    Parameters
    ----------
    l2 : float
        The ridge on the diagonal, in users who had an item: the more, the less trust in rare items.
    max_items : int
        Its tables are square in the items that anybody had, 32 bytes a pair of them at the peak: 13 GB for
        20,000. More than these are refused.
    """

    l2: float = 100.0
    max_items: int = 20_000

    def __post_init__(self) -> None:
        check_numbers(self, "evaluation.ease", l2=above(0), max_items=at_least(1))


@dataclass(frozen=True)
class AlsConfig:
    """Knobs of `als.learn_als`.

    Parameters
    ----------
    factors, iterations : int
    l2 : float
        Ridge on the factors.
    alpha : float
        Confidence in an item that a user had, where 1 is that in one that was not.
    """

    factors: int = 64
    iterations: int = 15
    l2: float = 0.05
    alpha: float = 10.0

    def __post_init__(self) -> None:
        check_numbers(
            self, "evaluation.als", factors=at_least(1), iterations=at_least(1), l2=above(0), alpha=above(0)
        )


@dataclass(frozen=True)
class BprConfig:
    """Knobs of `bpr.learn_bpr`.

    Parameters
    ----------
    factors, iterations : int
        An iteration draws as many pairs as there are users with items of theirs.
    lr, l2 : float
        Step length, and ridge on the factors.
    """

    factors: int = 64
    iterations: int = 200
    lr: float = 0.05
    l2: float = 0.01

    def __post_init__(self) -> None:
        check_numbers(
            self, "evaluation.bpr", factors=at_least(1), iterations=at_least(1), lr=above(0), l2=at_least(0)
        )


@dataclass(frozen=True)
class SasrecConfig:
    """Knobs of `sasrec.learn_sasrec`.

    Parameters
    ----------
    dim, heads, blocks : int
        Width of the item vectors, attention heads and layers.
    dropout : float
    lr : float
        Of Adam.
    batch_targets : int
        Next items a step learns.
    max_epochs, patience : int
        Training ends after so many epochs, or when held-out users have not gained for ``patience``.
    """

    dim: int = 64
    heads: int = 2
    blocks: int = 2
    dropout: float = 0.2
    lr: float = 0.003
    batch_targets: int = 512
    max_epochs: int = 60
    patience: int = 5

    def __post_init__(self) -> None:
        check_numbers(
            self,
            "evaluation.sasrec",
            dim=at_least(1),
            heads=at_least(1),
            blocks=at_least(1),
            dropout=Range(0, 1, open_most=True),
            lr=above(0),
            batch_targets=at_least(1),
            max_epochs=at_least(1),
            patience=at_least(1),
        )
        if self.dim % self.heads:
            raise ConfigError(
                "evaluation.sasrec.heads",
                expected=f"a divisor of dim, {self.dim}",
                found=str(self.heads),
                do="Change one of them.",
            )
