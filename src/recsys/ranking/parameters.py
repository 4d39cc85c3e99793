"""A reranker's config in LightGBM's terms; no LightGBM here."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from recsys.core.errors import ConfigError
from recsys.ranking.config import RerankerConfig


def feature_names(columns: tuple[str, ...]) -> list[str]:
    """Names that the model text can hold: LightGBM refuses JSON's characters and changes spaces."""
    plain = [re.sub(r"[^0-9A-Za-z_.\-]", "_", name) for name in columns]
    return plain if len(set(plain)) == len(plain) else [f"column_{at}" for at in range(len(columns))]


def check_there(key: str, names: Iterable[str], columns: Sequence[str]) -> None:
    """Refuse names under a key of the reranker's config that no column of the frame has."""
    absent = sorted(set(names) - set(columns))
    if absent:
        raise ConfigError(
            f"ranker.{key}",
            expected=f"columns of the ranking frame ({', '.join(columns)})",
            found=", ".join(absent),
            do="Correct the names, or leave out columns that this model does not use.",
        )


def check_columns(config: RerankerConfig, columns: tuple[str, ...]) -> None:
    check_there("monotone", config.monotone, columns)
    check_there("categorical", config.categorical, columns)
    both = sorted(set(config.monotone) & set(config.categorical))
    if both or not set(config.monotone.values()) <= {-1, 1}:
        raise ConfigError(
            "ranker.monotone",
            expected="1 or -1 for columns that are not categorical",
            found=", ".join(both) or str(config.monotone),
            do="Correct the config.",
        )


def of_trees(config: RerankerConfig, columns: tuple[str, ...]) -> dict[str, Any]:
    """What every booster shares, whatever it learns."""
    out: dict[str, Any] = {
        "num_leaves": config.num_leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": config.min_data_in_leaf,
        "feature_fraction": config.feature_fraction,
        "lambda_l2": config.lambda_l2,
        "seed": config.seed,
        "num_threads": config.threads,
        "deterministic": config.deterministic,
        "force_row_wise": True,  # else LightGBM times both and the sums' order depends on the machine
        "verbosity": -1,
    }
    if config.bagging_fraction < 1.0:
        out |= {"bagging_fraction": config.bagging_fraction, "bagging_freq": config.bagging_freq}
    if config.monotone:
        out["monotone_constraints"] = [config.monotone.get(name, 0) for name in columns]
    return out


def parameters(config: RerankerConfig, columns: tuple[str, ...]) -> dict[str, Any]:
    """Of lambdarank."""
    out = of_trees(config, columns) | {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [config.early_stopping_at],
        "label_gain": config.gains(),
        "lambdarank_truncation_level": config.truncation,
    }
    if config.bagging_fraction < 1.0:
        out["bagging_by_query"] = True  # half a request teaches another task
    return out


def of_a_probability(config: RerankerConfig, columns: tuple[str, ...]) -> dict[str, Any]:
    """Of the chance that a row is taken."""
    return of_trees(config, columns) | {"objective": "binary", "metric": "binary_logloss"}
