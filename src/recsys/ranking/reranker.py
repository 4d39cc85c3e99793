"""The reranker: LightGBM's lambdarank on whole requests. The only file that imports lightgbm."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import read_json, reading, require
from recsys.core.errors import BundleError, ConfigError, DataError, MissingExtraError
from recsys.ranking.config import RerankerConfig
from recsys.ranking.frame import RankFrame
from recsys.ranking.trees import Trees

Array = NDArray[Any]

FORMAT = 1
AGAIN = "Copy the model folder again, or train again."
MODEL_FILE, SIDE_FILE = "model.txt", "reranker.json"
SIDE = {"columns": list, "best_iteration": int, "importance": dict, "config": dict}


@dataclass(frozen=True)
class Reranker:
    """A trained reranker, usable without LightGBM.

    Attributes
    ----------
    text : str
        LightGBM's model text, cut at the best iteration.
    columns : tuple of str
        Names of the input, in the order of `predict`'s columns.
    best_iteration : int
        Number of trees.
    importance : dict of str to float
        Total gain of the splits on each column.
    config : dict
        The `RerankerConfig` it was trained with, as plain types.
    valid_ndcg : float or None
        NDCG of the validation requests at the best iteration, None without any.
    """

    text: str
    columns: tuple[str, ...]
    best_iteration: int
    importance: dict[str, float]
    config: dict[str, Any]
    valid_ndcg: float | None = None

    @cached_property
    def trees(self) -> Trees:
        """The flat trees, parsed once."""
        trees = Trees.parse(self.text)
        if len(trees.features) != len(self.columns):
            raise BundleError(
                "the reranker",
                expected=f"{len(self.columns)} features",
                found=f"{len(trees.features)} in the trees",
                do=AGAIN,
            )
        return trees

    def predict(self, values: Array) -> Array:
        """Raw scores, float64 [rows], of float32 [rows, columns]; comparable within a request only."""
        return self.trees.predict(values)

    def predict_frame(self, frame: RankFrame) -> Array:
        """Raw scores of a frame that has, in any order and among others, the model's columns."""
        return self.predict(frame.select_columns(self.columns).values)

    def save(self, folder: Path) -> None:
        """Write ``model.txt`` and ``reranker.json`` into ``folder``, which is made where missing."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL_FILE).write_text(self.text, encoding="utf-8", newline="\n")
        side = {name: value for name, value in asdict(self).items() if name != "text"}
        side |= {"format": FORMAT, "sha256": hashlib.sha256(self.text.encode()).hexdigest()}
        (folder / SIDE_FILE).write_text(json.dumps(side, indent=1, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Reranker":
        """Read a saved reranker; ``BundleError`` for an incomplete, changed or foreign folder."""
        path = folder / SIDE_FILE
        with reading(folder / MODEL_FILE, "trees as LightGBM text", AGAIN):
            text = (folder / MODEL_FILE).read_bytes().decode()
        side = read_json(path, AGAIN)
        if (found := side.pop("format", None)) != FORMAT:
            raise BundleError(str(path), expected=f"format {FORMAT}", found=f"format {found}", do=AGAIN)
        if side.pop("sha256", None) != hashlib.sha256(text.encode()).hexdigest():
            raise BundleError(
                str(folder / MODEL_FILE),
                expected=f"the file that {SIDE_FILE} describes",
                found="one that was changed",
                do=AGAIN,
            )
        require(side, path, SIDE, AGAIN)
        with reading(path, "what Reranker.save wrote", AGAIN):
            return cls(text=text, **(side | {"columns": tuple(side["columns"])}))


def _feature_names(columns: tuple[str, ...]) -> list[str]:
    """Names that the model text can hold: LightGBM refuses JSON's characters and changes spaces."""
    plain = [re.sub(r"[^0-9A-Za-z_.\-]", "_", name) for name in columns]
    return plain if len(set(plain)) == len(plain) else [f"column_{at}" for at in range(len(columns))]


def _known(config: RerankerConfig, columns: tuple[str, ...]) -> None:
    for key, names in (("monotone", config.monotone), ("categorical", config.categorical)):
        absent = sorted(set(names) - set(columns))
        if absent:
            raise ConfigError(
                f"ranker.{key}",
                expected=f"columns of the ranking frame ({', '.join(columns)})",
                found=", ".join(absent),
                do="Correct the names, or leave out columns that this model does not use.",
            )
    both = sorted(set(config.monotone) & set(config.categorical))
    if both or not set(config.monotone.values()) <= {-1, 1}:
        raise ConfigError(
            "ranker.monotone",
            expected="1 or -1 for columns that are not categorical",
            found=", ".join(both) or str(config.monotone),
            do="Correct the config.",
        )


def _parameters(config: RerankerConfig, columns: tuple[str, ...]) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [config.early_stopping_at],
        "label_gain": config.gains(),
        "lambdarank_truncation_level": config.truncation,
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
        parameters |= {
            "bagging_fraction": config.bagging_fraction,
            "bagging_freq": config.bagging_freq,
            "bagging_by_query": True,  # half a request teaches another task
        }
    if config.monotone:
        parameters["monotone_constraints"] = [config.monotone.get(name, 0) for name in columns]
    return parameters


def informative(frame: RankFrame, gains: list[float]) -> RankFrame:
    """The requests that can teach: at least two different gains among their rows.

    A request without any positive, or with equally good rows only, forms no pair; LightGBM would also
    count its NDCG as 1 and so hide differences between the others.
    """
    gain = np.asarray(gains)[np.minimum(frame.labels, len(gains) - 1)]
    filled = frame.groups > 0
    starts = frame.offsets[:-1][filled]
    keep = np.zeros(frame.n_requests, np.bool_)
    if starts.size:
        keep[filled] = np.maximum.reduceat(gain, starts) > np.minimum.reduceat(gain, starts)
    return frame.select_requests(keep)


def train(
    frame: RankFrame,
    valid: RankFrame | None,
    config: RerankerConfig,
    num_iterations: int | None = None,
) -> Reranker:
    """Train on whole requests; stop early on ``valid``'s NDCG, or grow a fixed number of trees.

    Parameters
    ----------
    frame : RankFrame
        Requests to learn from; those without any contrast between their rows are left out.
    valid : RankFrame or None
        Requests that choose the number of trees, with the same columns.
    config : RerankerConfig
        What to learn and how.
    num_iterations : int, optional
        Trees to grow instead of ``config.num_iterations``, say those that an earlier run found best.

    Raises
    ------
    ConfigError
        For monotone or categorical columns that are not there, or unknown label gains.
    DataError
        Where no request has both a positive and another row, or where positions are asked for and absent.
    MissingExtraError
        Without LightGBM.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtraError("lightgbm", "train") from error
    _known(config, frame.columns)
    gains = config.gains()
    names = _feature_names(frame.columns)
    parameters = _parameters(config, frame.columns)

    def dataset(part: RankFrame, what: str, reference: Any = None) -> Any:
        part = informative(part.select_columns(frame.columns), gains)
        if not part.n_requests:
            raise DataError(
                f"the {what} requests of the ranker",
                expected="at least one request with a positive and another row",
                found="none",
                do="Widen the window, or raise the number of candidates so that positives are among them.",
            )
        if config.use_position and part.positions is None:
            raise DataError(
                f"the {what} requests of the ranker",
                expected="display positions (ranker.use_position=true)",
                found="none",
                do="Log positions with the impressions, or set ranker.use_position=false.",
            )
        return lightgbm.Dataset(
            part.values,
            label=part.labels,
            group=part.groups,
            position=part.positions if config.use_position and reference is None else None,
            feature_name=names,
            categorical_feature=[frame.columns.index(name) for name in config.categorical],
            reference=reference,
            free_raw_data=True,
        )

    learn = dataset(frame, "training")
    watch = None if valid is None else dataset(valid, "validation", learn)
    stops = watch is not None and config.early_stopping > 0
    booster = lightgbm.train(
        parameters,
        learn,
        num_boost_round=num_iterations or config.num_iterations,
        valid_sets=None if watch is None else [watch],
        valid_names=None if watch is None else ["valid"],
        callbacks=[lightgbm.early_stopping(config.early_stopping, verbose=False)] if stops else None,
    )
    best = booster.best_iteration if stops and booster.best_iteration > 0 else booster.current_iteration()
    gain = booster.feature_importance("gain", iteration=best)
    ndcg = booster.best_score.get("valid", {}).get(f"ndcg@{config.early_stopping_at}")
    return Reranker(
        text=booster.model_to_string(num_iteration=best),
        columns=frame.columns,
        best_iteration=int(best),
        importance={name: float(value) for name, value in zip(frame.columns, gain, strict=True)},
        config=asdict(config) | {"categorical": list(config.categorical)},
        valid_ndcg=None if ndcg is None else float(ndcg),
    )
