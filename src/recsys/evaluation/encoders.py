"""Trained encoders side by side: what each ranks, how fast and large it is, how long it learned."""

from html import escape

import polars as pl

from recsys.core.columns import CI_HIGH, CI_LOW
from recsys.evaluation.page import Cell, bullets, page, paragraph, section, table
from recsys.evaluation.plots import Interval, dots
from recsys.evaluation.verdict import metric_name, number, signed

COLUMNS = {
    "preset": pl.String,
    "chosen": pl.String,  # what the preset auto chose; else the preset
    "metric": pl.String,
    "k": pl.Int32,
    "value": pl.Float64,  # mean over requests, of the interest score alone
    CI_LOW: pl.Float64,
    CI_HIGH: pl.Float64,
    "diff": pl.Float64,  # minus the first encoder's, on the same requests; null for the first
    "diff_low": pl.Float64,
    "diff_high": pl.Float64,
    "n": pl.Int64,  # requests
    "texts_per_s": pl.Float64,  # of the exported tower, tokenising included; null where it does not encode
    "size_mib": pl.Float64,  # files that encode a new text; null likewise
    "minutes": pl.Float64,  # to train and export, the encoding of the catalogue included
    "encoded": pl.Int64,  # texts of the catalogue that went through the pretrained model for it
    "found": pl.Int64,  # texts that an earlier training had encoded: their time is not in ``minutes``
}
"""The table of encoders, one row each, the one that the others are compared with first."""


def encoders_section(frame: pl.DataFrame) -> str:
    """The table and, where there are several, a plot of the differences to the first, as HTML.

    Parameters
    ----------
    frame : DataFrame
        With `COLUMNS`.
    """
    rows = frame.to_dicts()
    name, first = metric_name(rows[0]["metric"], rows[0]["k"]), rows[0]["preset"]
    header = ["encoder", name, f"minus {first}", "texts/s", "size, MiB", "minutes to train"]
    cells = [
        [
            _named(row),
            Cell(number(row["value"]) + _small(number(row[CI_LOW]), number(row[CI_HIGH]))),
            None
            if row["diff"] is None
            else Cell(
                f"<span class='{_tone(row)}'>{signed(row['diff'])}</span>"
                + _small(signed(row["diff_low"]), signed(row["diff_high"]))
            ),
            None if row["texts_per_s"] is None else f"{row['texts_per_s']:,.0f}",
            None if row["size_mib"] is None else f"{row['size_mib']:,.1f}",
            f"{row['minutes']:.1f}",
        ]
        for row in rows
    ]
    marks = [
        Interval(_named(row), row["diff"], row["diff_low"], row["diff_high"], _tone(row)) for row in rows[1:]
    ]
    return section(
        "The encoders side by side",
        paragraph(
            f"{name} of the encoder's score alone, on {rows[0]['n']:,} requests of the window valid, with "
            f"its interval; the difference to {first} is paired, over whole users."
        ),
        table(header, cells),
        dots(marks, f"{name}: each encoder minus {first}") if marks else "",
        bullets(_remarks(rows)),
    )


def render_encoders(frame: pl.DataFrame, title: str, made: str) -> str:
    """`encoders_section` as a page of its own; ``made`` stands at its end."""
    body = f"<h1>{escape(title)}</h1>{encoders_section(frame)}<footer>{escape(made)}</footer>"
    return page(title, body)


def encoder_lines(frame: pl.DataFrame) -> list[str]:
    """The same table as text, one encoder a line."""
    rows = frame.to_dicts()
    first = rows[0]["preset"]
    told = [("", metric_name(rows[0]["metric"], rows[0]["k"]), f"minus {first}", "texts/s", "MiB", "minutes")]
    for row in rows:
        told.append(
            (
                _named(row),
                f"{number(row['value'])} {number(row[CI_LOW])}-{number(row[CI_HIGH])}",
                ""
                if row["diff"] is None
                else f"{signed(row['diff'])} [{signed(row['diff_low'])}, {signed(row['diff_high'])}]",
                "-" if row["texts_per_s"] is None else f"{row['texts_per_s']:,.0f}",
                "-" if row["size_mib"] is None else f"{row['size_mib']:,.1f}",
                f"{row['minutes']:.1f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*told, strict=True)]
    lines = ["  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in told]
    return [*lines, *_remarks(rows)]


def _named(row: dict[str, object]) -> str:
    return str(row["preset"]) + ("" if row["chosen"] == row["preset"] else f" ({row['chosen']})")


def _small(low: str, high: str) -> str:
    return f"<small>{low} to {high}</small>"


def _tone(row: dict[str, float]) -> str:
    return "good" if row["diff_low"] > 0 else "bad" if row["diff_high"] < 0 else "flat"


def _remarks(rows: list[dict[str, object]]) -> list[str]:
    """What the figures leave out."""
    found = [f"{row['found']:,} for {row['preset']}" for row in rows if row["found"]]
    silent = [str(row["preset"]) for row in rows if row["texts_per_s"] is None]
    remarks = []
    if found:
        remarks.append(
            f"Texts that an earlier training had encoded, their time not in the minutes: {', '.join(found)}."
        )
    if silent:
        remarks.append(f"Without an exported tower, so that no new text is encoded: {', '.join(silent)}.")
    return remarks
