"""Stage score: recommendations for all users, by the bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.pipelines.bundle import MODEL
from recsys.pipelines.runner import Facts, Stage
from recsys.serving.batch import BatchConfig, score_users
from recsys.serving.ranker import Ranker

RECOMMENDATIONS = "recommendations"


@dataclass(frozen=True)
class Config:
    """Batch scoring."""

    scoring: BatchConfig


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Write the best items of every user that the bundle knows."""
    ranker = Ranker.load(inputs["bundle"] / MODEL, chances=config.scoring.chances)
    users = ranker.bundle.users.decode(np.arange(len(ranker.bundle.users)))
    scored = score_users(ranker, users, out / RECOMMENDATIONS, config.scoring)
    return Facts(rows={"users": scored.users, "recommendations": scored.rows})


STAGE = Stage("score", work, ("recsys.serving", "recsys.pipelines.score"), resumes=True)
