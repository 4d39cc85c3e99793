"""What ``recsys COMMAND --cfg`` does: print every setting with its value, those that no file names too."""

from collections.abc import Sequence

from omegaconf import OmegaConf

from recsys.commands import of_a_model
from recsys.pipelines import keys
from recsys.pipelines.door import to_yaml
from recsys.pipelines.score_settings import ScoreConfig, load
from recsys.pipelines.settings import RunConfig, checked


def main(overrides: Sequence[str]) -> int:
    """Compose, check, and print the settings as YAML."""
    config: RunConfig | ScoreConfig
    if of_a_model("score", overrides):
        config = load(overrides)
    else:
        config, _ = checked(overrides)
    print(to_yaml(OmegaConf.create(keys.plain(config))), end="")  # type: ignore[call-overload]
    return 0
