"""What can be set about the reranker; no LightGBM here, so that any command can read it."""

from dataclasses import dataclass, field
from typing import Literal

from recsys.core.checks import MOST_SEED, above, at_least, check_numbers
from recsys.core.columns import LABELS
from recsys.core.errors import ConfigError

LABEL_TYPES = ("click", "cart", "purchase")  # labels 1, 2, 3


@dataclass(frozen=True)
class ProbabilityConfig:
    """Probabilities of a click and of a purchase, beside the ranking.

    Parameters
    ----------
    learn : {"logged", "any", "none"}
        What teaches them: the lists that were shown, where any are logged, else nothing; or, with
        "any", else the rows that candidates gave. Never ("none").
    max_rows : int
        Where there are more rows, a draw of whole requests of about as many.
    position : int
        The display position that is assumed of what is yet to be shown, where positions are logged.
    """

    learn: Literal["logged", "any", "none"] = "logged"
    max_rows: int = 200_000
    position: int = 1

    def __post_init__(self) -> None:
        check_numbers(self, "ranker.probabilities", max_rows=at_least(1), position=at_least(1, 32_767))


@dataclass(frozen=True)
class SearchConfig:
    """A search for better settings of the trees, by Optuna; none by default.

    Parameters
    ----------
    trials : int
        Settings that are tried, those that stand in the config among them; 0 for no search.
    minutes : float
        No trial begins later.
    """

    trials: int = 0
    minutes: float = 10.0

    def __post_init__(self) -> None:
        check_numbers(self, "ranker.search", trials=at_least(0), minutes=above(0))


@dataclass(frozen=True)
class RerankerConfig:
    """How the reranker learns; the names are LightGBM's where it has one."""

    label_gain: dict[str, float] = field(
        default_factory=lambda: {"click": 1.0, "cart": 3.0, "purchase": 10.0}
    )  # worth of a label in the ranking; a type that is absent is worth nothing
    num_leaves: int = 31
    learning_rate: float = 0.05
    num_iterations: int = 400
    early_stopping: int = 40  # rounds without a better NDCG on the validation requests; 0: never stop
    early_stopping_at: int = 10  # the k of that NDCG
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.8
    bagging_fraction: float = 1.0  # share of the requests of one tree
    bagging_freq: int = 1
    lambda_l2: float = 1.0
    truncation: int = 30  # pairs are formed with the best so many of a request
    monotone: dict[str, int] = field(default_factory=dict)  # column -> 1 (more is better) or -1
    categorical: tuple[str, ...] = ()  # columns of codes, whole numbers from 0; negative is missing
    leave_out: tuple[str, ...] = ()  # columns not to read, such as a word column with few rows a word
    use_position: bool = False  # learn and remove the bias of the display position
    boosters: int = 1  # of other seeds, whose scores are averaged
    search: SearchConfig = field(default_factory=SearchConfig)
    probabilities: ProbabilityConfig = field(default_factory=ProbabilityConfig)
    deterministic: bool = True
    seed: int = 0
    threads: int = 0  # 0: as many as there are cores

    def __post_init__(self) -> None:
        self.gains()
        check_numbers(
            self,
            "ranker",
            num_leaves=at_least(2, 131_072),  # LightGBM's own bound
            learning_rate=above(0),
            num_iterations=at_least(1),
            early_stopping=at_least(0),
            early_stopping_at=at_least(1),
            min_data_in_leaf=at_least(0),
            feature_fraction=above(0, 1),
            bagging_fraction=above(0, 1),
            bagging_freq=at_least(0),
            lambda_l2=at_least(0),
            truncation=at_least(1),
            boosters=at_least(1),
            seed=at_least(0, MOST_SEED),
            threads=at_least(0),
        )

    def gains(self) -> list[float]:
        """Gain of the labels 0, 1, 2, 3; ``ConfigError`` for an unknown event type or a negative gain."""
        unknown = sorted(set(self.label_gain) - set(LABEL_TYPES))
        if unknown or min(self.label_gain.values(), default=0.0) < 0:
            raise ConfigError(
                "ranker.label_gain",
                expected=f"gains of at least 0 for {', '.join(LABEL_TYPES)}",
                found=", ".join(unknown) or str(self.label_gain),
                do="Correct the config.",
            )
        gains = [0.0] * (1 + len(LABEL_TYPES))
        for name, gain in self.label_gain.items():
            gains[LABELS[name]] = float(gain)
        return gains
