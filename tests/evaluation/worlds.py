"""Small tables for the tests of this room."""

import numpy as np
import polars as pl


def requests_of(n, window="test", n_catalogue=10, users=None):
    return pl.DataFrame(
        {
            "request": np.arange(n, dtype=np.int32),
            "request_id": [f"q{i}" for i in range(n)],
            "user": np.arange(n, dtype=np.int32) if users is None else np.asarray(users, np.int32),
            "window": [window] * n if isinstance(window, str) else window,
            "n_catalogue": np.full(n, n_catalogue, np.int32),
        }
    )


def truth_of(rows):
    schema = {"request": pl.Int32, "item": pl.Int32, "label": pl.UInt8}
    return pl.DataFrame(rows, schema=schema, orient="row")


def predictions_of(rows, model="full", variant="default", seed=0):
    schema = {"request": pl.Int32, "item": pl.Int32, "score": pl.Float32}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    rank = pl.col("score").rank("ordinal", descending=True).over("request").cast(pl.Int32).alias("rank")
    names = [
        pl.lit(model).alias("model"),
        pl.lit(variant).alias("variant"),
        pl.lit(seed, pl.Int32).alias("seed"),
    ]
    return frame.with_columns(rank, *names)


def table_scores(scores):
    """Scores that stand ready, (requests, items), as a score function."""
    return lambda rows: np.asarray(scores[rows])
