"""Columns and types of what evaluation returns."""

import polars as pl

from recsys.core.columns import (
    CI_HIGH,
    CI_LOW,
    METRIC,
    MODEL,
    REQUEST,
    SEED,
    SLICE,
    USER,
    VARIANT,
    WINDOW,
    K,
    N,
)

VALUE = "value"

_WHERE = {WINDOW: pl.String, METRIC: pl.String, K: pl.Int32, SLICE: pl.String}
METRICS_SCHEMA = pl.Schema(
    {MODEL: pl.String, VARIANT: pl.String, SEED: pl.Int32}
    | _WHERE
    | {VALUE: pl.Float64, CI_LOW: pl.Float64, CI_HIGH: pl.Float64, N: pl.Int64}
)
PER_REQUEST_SCHEMA = pl.Schema(
    {MODEL: pl.String, VARIANT: pl.String, SEED: pl.Int32}
    | _WHERE
    | {REQUEST: pl.Int32, USER: pl.Int32, VALUE: pl.Float64}
)
PAIRS_SCHEMA = pl.Schema(
    {"model_a": pl.String, "model_b": pl.String, VARIANT: pl.String}
    | _WHERE
    | {"diff": pl.Float64, "low": pl.Float64, "high": pl.Float64, N: pl.Int64, "p": pl.Float64}
)
DIFFERENCES_SCHEMA = pl.Schema(dict(PAIRS_SCHEMA) | {"p_holm": pl.Float64, "verdict": pl.String})
RELIABILITY_SCHEMA = pl.Schema(
    {VARIANT: pl.String, SEED: pl.Int32, WINDOW: pl.String, "outcome": pl.String, "bin": pl.Int32}
    | {"probability": pl.Float64, "share": pl.Float64, "rows": pl.Int64}
)
