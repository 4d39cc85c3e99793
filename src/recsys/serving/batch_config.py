"""Settings of batch scoring."""

from dataclasses import asdict, dataclass
from typing import Any

from recsys.core.checks import above, at_least, check_numbers


@dataclass(frozen=True)
class BatchConfig:
    """How many, in what pieces, and who is scored again where there are recommendations already.

    Parameters
    ----------
    k : int
        Items a user.
    exclude_seen : bool
        Leave out the items of the user's recent history.
    partition_size : int
        Users in one file: what is in memory at a time.
    chances : bool
        Whether the chances of a click and of a purchase are written, where the bundle has them.
    workers : int
        Processes, each with the model folder mapped; 0: as many as there are cores, 1: this one.
    moved : float
        How far an item of a user's list may move before the user is scored again: the change of its share
        of all popularity, against that share (see `recsys.serving.due.change`).
    max_age_days : float
        Who was scored as of a state so many days before this one is scored again; data without a clock
        have no age.
    """

    k: int = 10
    exclude_seen: bool = True
    partition_size: int = 1_000
    chances: bool = True
    workers: int = 0
    moved: float = 0.25
    max_age_days: float = 7.0

    def __post_init__(self) -> None:
        check_numbers(
            self,
            "scoring",
            k=at_least(1),
            partition_size=at_least(1),
            workers=at_least(0),
            moved=at_least(0),
            max_age_days=above(0),
        )

    def content(self) -> dict[str, Any]:
        """The settings that what is written depends on: how many processes work is none of them."""
        return {name: value for name, value in asdict(self).items() if name != "workers"}
