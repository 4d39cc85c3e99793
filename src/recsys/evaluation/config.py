"""What an evaluation measures and how."""

from dataclasses import dataclass
from typing import Literal

from recsys.core.checks import MOST_SEED, Range, at_least, check_choice, check_number, check_numbers
from recsys.core.errors import ConfigError
from recsys.evaluation.per_request import WITH_K, WITHOUT_K, Column, metric_columns

NDCG_TRUE = "ndcg_true"  # NDCG at main_k against a true preference, where one is known


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured and how.

    Parameters
    ----------
    metrics : tuple of str
        Of ``ndcg, hit_rate, recall, precision, map, mrr, auc``.
    ks : tuple of int
        Depths of the metrics that have one.
    gains : tuple of float
        NDCG's gain of label 0 (none), 1 (click), 2 (cart), 3 (purchase).
    main_metric, main_k : str, int
        What the verdict reads, and the slices where they can (see `sliced`).
    rows : {"retrieved", "logged"}
        Whether the whole catalogue competes in a request or only its logged list.
    reference : str
        The model that the differences are taken of.
    against : tuple of str
        The models that the verdict compares it with.
    n_boot, seed, confidence
        Of the user-clustered bootstrap.
    """

    metrics: tuple[str, ...] = ("ndcg", "hit_rate", "recall", "map", "mrr", "auc")
    ks: tuple[int, ...] = (5, 10, 20)
    gains: tuple[float, ...] = (0.0, 1.0, 3.0, 10.0)
    main_metric: str = "ndcg"
    main_k: int = 10
    rows: Literal["retrieved", "logged"] = "retrieved"
    reference: str = "full"
    against: tuple[str, ...] = ("popularity", "behaviour_only", "text_only")
    n_boot: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        known = WITH_K + WITHOUT_K
        for metric in self.metrics:
            check_choice("evaluation.metrics", metric, known)
        for k in self.ks:
            check_number("evaluation.ks", k, at_least(1))
        if len(self.gains) != 4:
            raise ConfigError(
                "evaluation.gains",
                expected="four: of no event, click, cart, purchase",
                found=str(list(self.gains)),
                do="Give four numbers.",
            )
        for gain in self.gains:
            check_number("evaluation.gains", gain, at_least(0))
        check_choice("evaluation.rows", self.rows, ("retrieved", "logged"))
        check_numbers(
            self,
            "evaluation",
            main_k=at_least(1),
            n_boot=at_least(1),
            seed=at_least(0, MOST_SEED),
            confidence=Range(0, 1, open_least=True, open_most=True),
        )
        if self.main not in (*self.columns, (NDCG_TRUE, self.main_k)):
            raise ConfigError(
                "evaluation.main_metric and main_k",
                expected="one of the metrics and depths that are measured",
                found=f"{self.main_metric} at {self.main_k}",
                do="Add it to evaluation.metrics and evaluation.ks, or choose another.",
            )

    @property
    def columns(self) -> tuple[Column, ...]:
        """All (metric, k) pairs."""
        return metric_columns(self.metrics, self.ks)

    @property
    def main(self) -> Column:
        """The pair that the verdict reads; k is 0 for a metric without a depth."""
        return self.main_metric, 0 if self.main_metric in WITHOUT_K else self.main_k

    @property
    def sliced(self) -> Column:
        """The pair that slices of the truth are measured in.

        The main one; where that is taken of the true preference, which has no rows to slice, the same
        metric of the observed labels, else the first that is measured.
        """
        observed = (self.main, ("ndcg", self.main_k), *self.columns)
        return next(column for column in observed if column in self.columns)
