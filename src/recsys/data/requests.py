"""Requests and their truth: who was to be answered when, and what they wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.core import columns as c
from recsys.core.as_of import Policy, cut, n_available
from recsys.core.checks import at_least, check_choice, check_numbers
from recsys.core.codes import hash_strings
from recsys.core.columns import CONTEXT_PREFIX, LABELS, WINDOWS
from recsys.core.errors import ConfigError, DataError
from recsys.core.log import ItemTable, RequestArrays, heads, interaction_mask
from recsys.core.tables import REQUESTS, TIME, TRUTH, WINDOW_ENUM, check
from recsys.data.clean import Ledger
from recsys.data.coding import build_log, micros
from recsys.data.split import AFTER, Windows
from recsys.data.units import ANSWERED_AT, UNITS

_ORDER = "window_order"


@dataclass(frozen=True)
class RequestsConfig:
    """What a request is.

    Parameters
    ----------
    unit : {"impression", "event", "basket", "session", "period"}
        Printed beside every metric: it changes every number.
    rows : {"logged", "retrieved"}
        Rank the logged list, or a pool from the whole catalogue.
    targets : tuple of str
        Event types that make truth; never impressions or returns.
    min_rating : float, optional
        A rating counts from this value on.
    min_history : int
        Drop requests of users who had done less before (clicks, carts, purchases, ratings); 0 for none.
    only_with_truth : bool, optional
        Drop requests without any label; true for retrieved rows, false for logged ones.
    max_per_window : int
        A sample by a stable hash where a window has more; 0 for all.
    folds : int
        Folds by user, where one window must serve twice.
    windows : tuple of str
        The windows that get requests.
    session_gap_minutes, period_days : int
        Where a session without an id ends; the length of a period.
    """

    unit: str = "event"
    rows: str = "retrieved"
    targets: tuple[str, ...] = ("click", "cart", "purchase", "rating")
    min_rating: float | None = None
    min_history: int = 0
    only_with_truth: bool | None = None
    max_per_window: int = 0
    folds: int = 5
    windows: tuple[str, ...] = ("rank", "valid", "test")
    session_gap_minutes: int = 30
    period_days: int = 7

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("unit", self.unit, tuple(UNITS)),
            ("rows", self.rows, ("logged", "retrieved")),
            *(("targets", target, tuple(LABELS)) for target in self.targets),
            *(("windows", window, WINDOWS) for window in self.windows),
        ):
            check_choice(f"requests.{name}", value, allowed)
        if self.rows == "logged" and self.unit != "impression":
            raise ConfigError(
                "requests.rows=logged",
                expected="requests.unit=impression",
                found=f"requests.unit={self.unit}",
                do="Only a logged list can be ranked as logged; set requests.rows=retrieved.",
            )
        check_numbers(
            self,
            "requests",
            min_history=at_least(0),
            max_per_window=at_least(0),
            folds=at_least(1, 255),
            session_gap_minutes=at_least(1),
            period_days=at_least(1),
        )


def _with_labels(events: pl.DataFrame, config: RequestsConfig, windows: Windows) -> pl.DataFrame:
    """Add each event's label (0 where it is no target) and its window."""
    kind = pl.col(c.EVENT_TYPE).cast(pl.String)
    gains = {target: LABELS[target] for target in config.targets}
    label = kind.replace_strict(gains, default=0, return_dtype=pl.UInt8)
    if config.min_rating is not None and c.VALUE in events.columns:
        poor = (kind == "rating") & (pl.col(c.VALUE).is_null() | (pl.col(c.VALUE) < config.min_rating))
        label = pl.when(poor).then(pl.lit(0, pl.UInt8)).otherwise(label)
    order = windows.of(micros(events[c.TIMESTAMP]))
    starts = pl.Series([None, windows.rank, windows.valid, windows.test, None], dtype=pl.Int64)
    start = starts.gather(np.where(order == AFTER, len(WINDOWS), order)).cast(TIME)
    return events.with_columns(label.alias(c.LABEL), start.alias("window_start"))


def _window_order(times: pl.Series, windows: Windows) -> pl.Series:
    return pl.Series(_ORDER, windows.of(micros(times)))


def _known_users(
    asked: pl.DataFrame, events: pl.DataFrame, config: RequestsConfig, ledger: Ledger
) -> pl.DataFrame:
    if not config.min_history:
        return asked
    log, who = build_log(events), request_arrays(asked)
    head = heads(log, who.user, cut(log, who, Policy())["user"])
    done = events.select(c.USER, pl.Series("done", interaction_mask()[log.kind]).cast(pl.Int64))
    nth = done.select(pl.col("done").cum_sum().over(c.USER)).to_series().to_numpy()
    kept = asked.filter(pl.Series((head >= 0) & (nth[head] >= config.min_history)))
    why = f"requests of users with less than {config.min_history} earlier interactions"
    ledger.note("min_history", "causal", "requests", asked.height - kept.height, kept.height, why)
    return kept


def _sample(asked: pl.DataFrame, config: RequestsConfig, ledger: Ledger) -> pl.DataFrame:
    if not config.max_per_window:
        return asked
    draw = pl.Series("draw", hash_strings(asked[c.REQUEST_ID].to_list()))
    place = pl.col("draw").rank("ordinal").over(_ORDER)
    kept = asked.with_columns(draw).filter(place <= config.max_per_window).drop("draw")
    why = f"a sample of {config.max_per_window} a window, by a hash of request_id"
    ledger.note("max_per_window", "causal", "requests", asked.height - kept.height, kept.height, why)
    return kept


def make_requests(
    events: pl.DataFrame, items: ItemTable, windows: Windows, config: RequestsConfig, ledger: Ledger
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build requests and truth from coded events.

    Parameters
    ----------
    events : DataFrame
        In the shape of `recsys.core.tables.EVENTS`, sorted by time.
    items : ItemTable
    windows : Windows
    config : RequestsConfig
    ledger : Ledger

    Returns
    -------
    requests, truth : DataFrame
        In the shapes of `recsys.core.tables`: requests numbered in order of time; truth in order of
        request, logged lists with label 0 where nothing happened. A label counts only if its event
        lies no later than the end of its request's window: it could not have been learned from before.

    Raises
    ------
    DataError
        A window without requests.
    """
    unit = UNITS[config.unit]
    setting = config.period_days if config.unit == "period" else config.session_gap_minutes
    asked, answered = unit(_with_labels(events, config, windows), setting)
    asked = asked.with_columns(_window_order(asked[c.TIMESTAMP], windows))
    chosen = sorted(WINDOWS.index(window) for window in config.windows)
    asked = asked.filter(pl.col(_ORDER).is_in(chosen))

    late_by = (
        _window_order(answered[ANSWERED_AT], windows).replace(AFTER, len(WINDOWS)).alias("answer_window")
    )
    answered = answered.with_columns(late_by).join(asked.select(c.REQUEST_ID, _ORDER), on=c.REQUEST_ID)
    in_time = answered.filter((pl.col("answer_window") <= pl.col(_ORDER)) | pl.col(c.SHOWN))
    late, why = answered.height - in_time.height, "labels that came after the end of their request's window"
    ledger.note("late_labels", "causal", "truth", late, in_time.height, why)

    wanted = config.only_with_truth if config.only_with_truth is not None else config.rows == "retrieved"
    if wanted:
        some = in_time.filter(pl.col(c.LABEL) > 0)
        kept = asked.join(some, on=c.REQUEST_ID, how="semi", maintain_order="left")
        why = "requests without any label"
        ledger.note("only_with_truth", "causal", "requests", asked.height - kept.height, kept.height, why)
        asked = kept
    asked = _known_users(asked, events, config, ledger)
    asked = _sample(asked, config, ledger)
    _refuse_empty(asked, chosen, config)
    requests = _number(asked, items, config)
    return requests, _truth(in_time, requests)


def _refuse_empty(asked: pl.DataFrame, chosen: list[int], config: RequestsConfig) -> None:
    there = set(asked[_ORDER].unique().to_list())
    for order in chosen:
        if order not in there:
            targets = ", ".join(config.targets)
            raise DataError(
                f"window {WINDOWS[order]}",
                expected=f"requests (requests.unit={config.unit}, targets {targets})",
                found="none",
                do="Move split, or choose another requests.unit or requests.targets.",
            )


def _number(asked: pl.DataFrame, items: ItemTable, config: RequestsConfig) -> pl.DataFrame:
    asked = asked.sort(c.TIMESTAMP, maintain_order=True)
    people = asked[c.USER_ID].unique(maintain_order=True)
    fold = pl.DataFrame(
        {c.USER_ID: people, c.FOLD: (hash_strings(people.to_list()) % config.folds).astype(np.uint8)}
    )
    asked = asked.join(fold, on=c.USER_ID, how="left", maintain_order="left")
    context = [name for name in asked.columns if name.startswith(CONTEXT_PREFIX)]
    requests = asked.select(
        pl.int_range(pl.len(), dtype=pl.Int32).alias(c.REQUEST),
        c.REQUEST_ID,
        c.USER,
        c.USER_ID,
        c.TIMESTAMP,
        pl.Series(c.WINDOW, WINDOWS).gather(asked[_ORDER]).cast(WINDOW_ENUM),
        c.FOLD,
        pl.Series(c.N_CATALOGUE, n_available(items, micros(asked[c.TIMESTAMP]))),
        c.LOG_REQUEST,
        *context,
    )
    return check(requests, REQUESTS)


def _truth(answered: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    number = requests.select(c.REQUEST, c.REQUEST_ID)
    rows = answered.join(number, on=c.REQUEST_ID, maintain_order="left")
    truth = (
        rows.group_by(c.REQUEST, c.ITEM, maintain_order=True)
        .agg(pl.col(c.LABEL).max(), pl.col(c.POSITION).min(), pl.col(c.SHOWN).any())
        .sort(c.REQUEST, maintain_order=True)
    )
    return check(truth, TRUTH)


def request_arrays(requests: pl.DataFrame) -> RequestArrays:
    """The arrays that `recsys.core.as_of.cut` and the kernels take, in the order of the frame."""
    return RequestArrays(
        requests[c.USER].to_numpy(), micros(requests[c.TIMESTAMP]), requests[c.LOG_REQUEST].to_numpy()
    )
