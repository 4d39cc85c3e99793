"""The report's section on probabilities: what was promised, against what happened."""

from html import escape

import polars as pl

from recsys.core.columns import SEED, VARIANT, WINDOW
from recsys.evaluation.page import paragraph, table


def probabilities(frame: pl.DataFrame | None) -> str:
    """A table a variant, window and outcome, of the first seed, with its expected calibration error.

    Parameters
    ----------
    frame : DataFrame, optional
        In the shape of `schemas.RELIABILITY_SCHEMA`.
    """
    if frame is None or frame.is_empty():
        return ""
    out = paragraph(
        "Rows of the lists that were shown, by rising probability in bins of equal numbers. The error is the "
        "mean distance between what was promised and what happened; a perfect model is not at 0 either, for "
        "what happened in a bin is a draw."
    )
    first = frame.filter(pl.col(SEED) == frame[SEED][0])
    for part in first.partition_by(VARIANT, WINDOW, "outcome", maintain_order=True):
        variant, window, outcome = (str(part[name][0]) for name in (VARIANT, WINDOW, "outcome"))
        gap = (part["probability"] - part["share"]).abs() * part["rows"]
        error = float(gap.sum()) / float(part["rows"].sum())
        rows = [
            [f"{row['probability']:.4f}", f"{row['share']:.4f}", row["rows"]]
            for row in part.iter_rows(named=True)
        ]
        inside = table(["promised", "happened", "rows"], rows)
        named = f"{outcome}, window {window}" + ("" if variant == "default" else f", {variant}")
        told = escape(f"{named}: expected calibration error {error:.4f}")
        out += f"<details><summary>{told}</summary>{inside}</details>"
    return out
