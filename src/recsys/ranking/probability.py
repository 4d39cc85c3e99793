"""The chance that an item is clicked or bought where it is shown: pointwise trees and their calibration.

Lambdarank's scores are free up to a constant a request, so no calibration makes them probabilities; these
trees learn each row's own outcome. Needs no LightGBM.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.artefact import read_json, reading, require
from recsys.core.errors import BundleError
from recsys.ranking.calibrate import Calibration
from recsys.ranking.frame import RankFrame
from recsys.ranking.trees import Trees

Array = NDArray[Any]
EVENT = {c.P_CLICK: "click", c.P_PURCHASE: "purchase"}  # the type of event whose chance it is
LEAST = {name: c.LABELS[event] for name, event in EVENT.items()}  # the label that counts
FORMAT = 1
SIDE_FILE = "probabilities.json"
SIDE = {"columns": list, "learned": dict, "calibration": dict}


@dataclass(frozen=True)
class Probability:
    """One outcome's trees, as LightGBM text, and the line from their raw scores to its log odds."""

    text: str
    calibration: Calibration

    @cached_property
    def trees(self) -> Trees:
        """The flat trees, parsed once."""
        return Trees.parse(self.text)


@dataclass(frozen=True)
class Probabilities:
    """Chances of a row, of each outcome that the data could teach.

    Attributes
    ----------
    columns : tuple of str
        What is read of a row, in order; the trees read its display position after them where
        ``position`` is given.
    position : int or None
        The display position that is assumed where none is given; None where none was logged.
    of : mapping of "p_click" and "p_purchase" to Probability
    learned : mapping
        What they say of themselves: kind and number of rows, requests, number of trees.
    """

    columns: tuple[str, ...]
    position: int | None
    of: Mapping[str, Probability]
    learned: Mapping[str, Any]

    def predict(self, values: Array, positions: Array | None = None) -> dict[str, Array]:
        """The chances of rows.

        Parameters
        ----------
        values : float32 array, shape (rows, columns)
        positions : int array, shape (rows,), optional
            Display positions from 1, below it unknown. `position` for all by default.

        Returns
        -------
        dict of str to float64 array, shape (rows,)
            A purchase is never likelier than a click, without which there is none.
        """
        if self.position is not None:
            values = with_position(values, self.position if positions is None else positions)
        out = {name: one.calibration(one.trees.predict(values)) for name, one in self.of.items()}
        if c.P_CLICK in out and c.P_PURCHASE in out:
            out[c.P_PURCHASE] = np.minimum(out[c.P_PURCHASE], out[c.P_CLICK])
        return out

    def predict_frame(self, frame: RankFrame) -> dict[str, Array]:
        """`predict` of a frame that has these columns among others, at its own positions if it has some."""
        return self.predict(frame.select_columns(self.columns).values, frame.positions)

    def save(self, folder: Path) -> None:
        """Write ``probabilities.json`` and each outcome's trees into ``folder``, made where missing."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, one in self.of.items():
            (folder / f"{name}.txt").write_text(one.text, encoding="utf-8", newline="\n")
        side = {
            "format": FORMAT,
            "columns": list(self.columns),
            "position": self.position,
            "learned": dict(self.learned),
            "calibration": {name: one.calibration.as_json() for name, one in self.of.items()},
        }
        (folder / SIDE_FILE).write_text(json.dumps(side, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Probabilities | None":
        """What `save` wrote into a folder; None where it holds none.

        Raises
        ------
        BundleError
            For damaged files, those of another format, or trees that read other columns.
        """
        path = folder / SIDE_FILE
        if not path.is_file():
            return None
        side = read_json(path)
        if (found := side.get("format")) != FORMAT:
            raise BundleError(
                str(path),
                expected=f"format {FORMAT}",
                found=f"format {found}",
                do="Train the ranker again with this version of recsys.",
            )
        require(side, path, SIDE)
        with reading(path, "columns, a position or none, and rising lines of p_click and p_purchase"):
            position = None if side["position"] is None else int(side["position"])
            calibrations = {
                name: Calibration.from_json(side["calibration"][name])
                for name in LEAST
                if name in side["calibration"]
            }
        of = {}
        for name, calibration in calibrations.items():
            with reading(folder / f"{name}.txt", "trees as LightGBM text"):
                of[name] = Probability((folder / f"{name}.txt").read_bytes().decode(), calibration)
        made = cls(tuple(side["columns"]), position, of, side["learned"])
        for name, one in of.items():
            wanted = len(made.columns) + (position is not None)
            if len(one.trees.features) != wanted:
                raise BundleError(
                    str(folder / f"{name}.txt"),
                    expected=f"trees of {wanted} features",
                    found=str(len(one.trees.features)),
                    do="Train the ranker again, or copy the whole folder.",
                )
        return made


def with_position(values: Array, position: int | Array) -> Array:
    """A last column of display positions, NaN where below 1: float32, shape (rows, columns + 1)."""
    out = np.empty((values.shape[0], values.shape[1] + 1), np.float32)
    out[:, :-1] = values
    out[:, -1] = np.where(np.asarray(position) >= 1, position, np.nan)
    return out
