"""Stage score: recommendations for all users, by the bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recsys.pipelines.bundle import MODEL
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.settings import ScoringConfig
from recsys.serving.batch import BatchConfig, score_users
from recsys.serving.ranker import Ranker

RECOMMENDATIONS = "recommendations"


@dataclass(frozen=True)
class Config:
    """Batch scoring."""

    scoring: ScoringConfig


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Write the best items of every user that the bundle knows."""
    ranker = Ranker.load(inputs["bundle"] / MODEL)
    scoring = config.scoring
    settings = BatchConfig(partition_size=scoring.partition_size, exclude_seen=scoring.exclude_seen)
    users = ranker.user_ids()
    score_users(ranker, users, scoring.k, out / RECOMMENDATIONS, settings)
    return Facts(rows={"users": len(users)})


STAGE = Stage("score", work, ("recsys.serving", "recsys.pipelines.score"))
