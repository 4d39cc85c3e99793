"""What batch scoring would do, and for how long: nothing is written."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.serving.batch import finished, processes
from recsys.serving.batch_config import BatchConfig
from recsys.serving.batch_plan import make_plan
from recsys.serving.due import KEPT
from recsys.serving.earlier import check_own, counted
from recsys.serving.partition import recommendations
from recsys.serving.ranker import Ranker

SAMPLE = 50  # users who are timed


@dataclass(frozen=True)
class Forecast:
    """Who is due, and what it takes.

    Attributes
    ----------
    users : int
    reasons : dict of str to int
        As in `recsys.serving.batch.Scored`; empty where nothing is left to do.
    write, carry : int
        Partitions to be written, and those of earlier recommendations that stand as they are.
    workers : int
    user_s : float
        Seconds for one user, as measured; 0 where nobody is due.
    """

    users: int
    reasons: dict[str, int]
    write: int
    carry: int
    workers: int
    user_s: float

    @property
    def due(self) -> int:
        """How many users are scored."""
        return sum(count for name, count in self.reasons.items() if name != "kept")

    def words(self) -> list[str]:
        """The same in lines."""
        if not self.reasons:
            return [f"nothing is left to do: {self.users:,} users are scored as of this state"]
        took = self.due * self.user_s / self.workers
        return [
            f"due: {self.due:,} of {self.users:,} users ({counted(self.reasons)})",
            f"partitions: {self.write:,} to write, {self.carry:,} to carry over",
            f"about {took:,.0f} s: {self.user_s * 1e3:.2f} ms a user, {self.workers} at a time",
        ]


def forecast(
    model: str | Path, user_ids: Sequence[str], out_folder: str | Path, config: BatchConfig, *, full: bool
) -> Forecast:
    """Decide as `recsys.serving.batch.score_users` would, and time some of those who are due."""
    folder = Path(out_folder)
    check_own(folder)
    ranker = Ranker.load(model, chances=config.chances)
    users = list(dict.fromkeys(user_ids))
    if finished(ranker, users, folder, config, full):
        return Forecast(len(users), {}, 0, 0, 1, 0.0)
    plan = make_plan(ranker, users, folder, config, full)
    same = [same for _, _, same in plan.parts(config.partition_size)]
    write = same.count(None)
    due = np.flatnonzero(plan.reason != KEPT)
    chosen = [users[i] for i in due[:: max(len(due) // SAMPLE, 1)][:SAMPLE].tolist()]
    recommendations(ranker, chosen[:1], config)  # brings kernels and pages
    start = time.perf_counter()
    recommendations(ranker, chosen, config)
    each = (time.perf_counter() - start) / max(len(chosen), 1)
    return Forecast(
        len(users), plan.reasons, write, len(same) - write, processes(config, write), each if chosen else 0.0
    )
