"""Stage score: recommendations for all users, by the bundle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recsys.pipelines.bundle import MODEL
from recsys.pipelines.runner import Facts, Stage
from recsys.serving.asked_users import known_users
from recsys.serving.batch import score_users
from recsys.serving.batch_config import BatchConfig

RECOMMENDATIONS = "recommendations"


@dataclass(frozen=True)
class Config:
    """Batch scoring, and how many processes do it, which changes nothing."""

    scoring: BatchConfig
    threads: int = 1


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Write the best items of every user that the bundle knows."""
    model, scoring = inputs["bundle"] / MODEL, replace(config.scoring, workers=config.threads)
    scored = score_users(model, known_users(model), out / RECOMMENDATIONS, scoring)
    return Facts(rows={"users": scored.users, "recommendations": scored.rows})


STAGE = Stage("score", work, ("recsys.serving", "recsys.pipelines.score"), resumes=True)
