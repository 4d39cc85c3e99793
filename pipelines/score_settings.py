"""Settings of ``recsys score model=...``, which takes none of a run's."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from recsys.core.errors import ConfigError
from recsys.pipelines.door import compose, to_dataclass
from recsys.serving.batch_config import BatchConfig

ROOT = "score"  # the file of conf/


@dataclass(frozen=True)
class ScoreConfig:
    """What is scored by what.

    Parameters
    ----------
    model : str
        The model folder, or its URI in MLflow's registry.
    out : str
        The folder of recommendations.
    users : str, optional
        A parquet or csv file with a column user_id, a folder of such, or a pattern; by default all users of
        the model.
    full : bool
        Score everybody, whatever stands in ``out``.
    dry_run : bool
        Say what there is to do, and write nothing.
    scoring : BatchConfig
    """

    model: str | None = None
    out: str | None = None
    users: str | None = None
    full: bool = False
    dry_run: bool = False
    scoring: BatchConfig = field(default_factory=BatchConfig)

    def __post_init__(self) -> None:
        needed = {
            "model": ("the model folder", "model=mlruns/runs/<name>/<time>/model"),
            "out": ("the folder of recommendations", "out=recommendations"),
        }
        for key, (what, do) in needed.items():
            if not getattr(self, key):
                raise ConfigError(key, expected=what, found="nothing", do=f"Give one: {do}.")


def load(overrides: Sequence[str]) -> ScoreConfig:
    """The checked configuration."""
    return to_dataclass(compose(overrides, ROOT), ScoreConfig)
