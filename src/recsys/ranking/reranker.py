"""The reranker: LightGBM's lambdarank on whole requests."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import read_json, reading, require
from recsys.core.errors import BundleError, DataError
from recsys.ranking.config import RerankerConfig
from recsys.ranking.frame import RankFrame
from recsys.ranking.library import lightgbm
from recsys.ranking.parameters import check_columns, feature_names, parameters
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


def can_teach(frame: RankFrame, gains: list[float]) -> Array:
    """Which requests have at least two different gains among their rows: bool, shape (requests,).

    A request without any positive, or with equally good rows only, forms no pair; LightGBM would also
    count its NDCG as 1 and so hide differences between the others.
    """
    gain = np.asarray(gains)[np.minimum(frame.labels, len(gains) - 1)]
    filled = frame.groups > 0
    starts = frame.offsets[:-1][filled]
    out = np.zeros(frame.n_requests, np.bool_)
    if starts.size:
        out[filled] = np.maximum.reduceat(gain, starts) > np.minimum.reduceat(gain, starts)
    return out


def _dataset(frame: RankFrame, config: RerankerConfig, what: str = "training", reference: Any = None) -> Any:
    """LightGBM's form of the requests that can teach."""
    part = frame.select_requests(can_teach(frame, config.gains()))
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
    return lightgbm().Dataset(
        part.values,
        label=part.labels,
        group=part.groups,
        position=part.positions if config.use_position and reference is None else None,
        feature_name=feature_names(frame.columns),
        categorical_feature=[frame.columns.index(name) for name in config.categorical],
        reference=reference,
        free_raw_data=True,
    )


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
        Trees to grow instead of ``config.num_iterations``, say those that `count_trees` found best.

    Raises
    ------
    ConfigError
        For monotone or categorical columns that are not there, or unknown label gains.
    DataError
        Where no request has both a positive and another row, or where positions are asked for and absent.
    MissingExtraError
        Without LightGBM.
    """
    library = lightgbm()
    check_columns(config, frame.columns)
    learn = _dataset(frame, config)
    watch = None
    if valid is not None:
        watch = _dataset(valid.select_columns(frame.columns), config, "validation", learn)
    stops = watch is not None and config.early_stopping > 0
    booster = library.train(
        parameters(config, frame.columns),
        learn,
        num_boost_round=num_iterations or config.num_iterations,
        valid_sets=None if watch is None else [watch],
        valid_names=None if watch is None else ["valid"],
        callbacks=[library.early_stopping(config.early_stopping, verbose=False)] if stops else None,
    )
    best = booster.best_iteration if stops and booster.best_iteration > 0 else booster.current_iteration()
    gain = booster.feature_importance("gain", iteration=best)
    ndcg = booster.best_score.get("valid", {}).get(f"ndcg@{config.early_stopping_at}")
    return Reranker(
        text=booster.model_to_string(num_iteration=best),
        columns=frame.columns,
        best_iteration=int(best),
        importance={name: float(value) for name, value in zip(frame.columns, gain, strict=True)},
        config=asdict(config)
        | {"categorical": list(config.categorical), "leave_out": list(config.leave_out)},
        valid_ndcg=None if ndcg is None else float(ndcg),
    )


def count_trees(frame: RankFrame, fold: Array, config: RerankerConfig) -> tuple[int, float]:
    """The number of trees at which the mean NDCG over folds, each held out once, is best; and that NDCG.

    For data that have no window left to stop on. All folds together choose: one alone, a few hundred
    requests, stops now at 3 trees and now at 130.

    Parameters
    ----------
    frame : RankFrame
    fold : int array, shape (requests,)
        By user, so that nobody stands on both sides.
    config : RerankerConfig
        Stops once ``early_stopping`` rounds were no better on the mean.

    Raises
    ------
    ConfigError, DataError, MissingExtraError
        As `train`; DataError also where there are fewer than two folds that can teach.
    """
    library = lightgbm()
    check_columns(config, frame.columns)
    frame = frame.select_requests(able := can_teach(frame, config.gains()))
    of_row = np.repeat(np.asarray(fold)[able], frame.groups)
    found = np.unique(of_row)
    if len(found) < 2:
        raise DataError(
            "the folds that choose the number of trees",
            expected="requests that can teach in at least two",
            found=str(len(found)),
            do="Raise requests.folds, widen the windows of variants.*.train, or set stop: valid.",
        )
    scores = library.cv(
        parameters(config, frame.columns),
        _dataset(frame, config),
        num_boost_round=config.num_iterations,
        folds=[(np.flatnonzero(of_row != k), np.flatnonzero(of_row == k)) for k in found],
        callbacks=[library.early_stopping(config.early_stopping, verbose=False)]
        if config.early_stopping
        else None,
    )
    mean = scores[f"valid ndcg@{config.early_stopping_at}-mean"]
    best = int(np.argmax(mean))
    return best + 1, float(mean[best])
