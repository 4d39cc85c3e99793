"""What one request is: a logged list, an event, a basket, a session or a period.

Each unit turns coded events, sorted by time, into *asked* (request_id, user, user_id, timestamp,
log_request, ctx_*) and *answered* (request_id, item, label, position, shown, answered_at).
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from recsys.core import columns as c
from recsys.core.columns import CONTEXT_PREFIX, EVENT_TYPES, IMPRESSION, RETURN
from recsys.core.errors import DataError

Asked = pl.DataFrame
Answered = pl.DataFrame
ANSWERED_AT = "answered_at"
KEY = "unit_key"
OWN = "own_request"
DAY_US = 86_400_000_000


def _context(events: pl.DataFrame) -> list[str]:
    return [name for name in events.columns if name.startswith(CONTEXT_PREFIX)]


def _ask(events: pl.DataFrame, key: str) -> Asked:
    """One row a key, as of the first event that carries it."""
    first = events.group_by(key, maintain_order=True).agg(
        pl.col(c.USER, c.USER_ID, c.TIMESTAMP, OWN, *_context(events)).first()
    )
    return first.rename({key: c.REQUEST_ID, OWN: c.LOG_REQUEST})


def _answers(events: pl.DataFrame, key: str, shown: bool) -> Answered:
    """Rows of truth from labelled events; ``shown`` says whether they stand in a logged list."""
    place = pl.col(c.POSITION) if shown and c.POSITION in events.columns else pl.lit(None, pl.Int16)
    return events.select(
        pl.col(key).alias(c.REQUEST_ID),
        c.ITEM,
        c.LABEL,
        place.alias(c.POSITION),
        pl.lit(shown).alias(c.SHOWN),
        pl.col(c.TIMESTAMP).alias(ANSWERED_AT),
    )


def impression(events: pl.DataFrame, _: int) -> tuple[Asked, Answered]:
    """Every logged list; its truth is the list, labelled by the events that carry its request_id."""
    kind = pl.col(c.EVENT_TYPE)
    if c.REQUEST_ID not in events.columns:
        events = events.with_columns(pl.lit(None, pl.String).alias(c.REQUEST_ID))
    events = events.filter(pl.col(c.REQUEST_ID).is_not_null()).with_columns(pl.col(c.REQUEST).alias(OWN))
    lists = events.filter(kind == EVENT_TYPES[IMPRESSION])
    if lists.is_empty():
        raise DataError(
            "requests.unit=impression",
            expected="impressions with a request_id",
            found="none",
            do="Give a table impressions, or set requests.unit to event, basket, session or period.",
        )
    hits = events.filter(pl.col(c.LABEL) > 0).join(lists, on=c.REQUEST_ID, how="semi", maintain_order="left")
    answered = pl.concat([_answers(lists, c.REQUEST_ID, True), _answers(hits, c.REQUEST_ID, False)])
    return _ask(lists, c.REQUEST_ID), answered


def event(events: pl.DataFrame, _: int) -> tuple[Asked, Answered]:
    """Every labelled event, with itself as the only truth."""
    name = pl.format("row-{}", pl.int_range(pl.len()))
    if c.EVENT_ID in events.columns:
        name = pl.coalesce(c.EVENT_ID, name)
    hits = events.with_columns(name.alias(KEY), pl.col(c.REQUEST).alias(OWN)).filter(pl.col(c.LABEL) > 0)
    return _ask(hits, KEY), _answers(hits, KEY, False)


def basket(events: pl.DataFrame, _: int) -> tuple[Asked, Answered]:
    """Labelled events of one request_id, else of one session of a user, else of a user's one moment."""
    names = [pl.format("{}@{}", c.USER_ID, pl.col(c.TIMESTAMP).dt.epoch("us"))]
    if c.SESSION_ID in events.columns:
        names.insert(0, pl.format("{}/{}", c.USER_ID, c.SESSION_ID))
    if c.REQUEST_ID in events.columns:
        names.insert(0, pl.col(c.REQUEST_ID))
    hits = events.filter(pl.col(c.LABEL) > 0).with_columns(pl.coalesce(names).alias(KEY))
    hits = hits.with_columns(pl.col(c.REQUEST).alias(OWN))
    return _ask(hits, KEY), _answers(hits, KEY, False)


def session(events: pl.DataFrame, gap_minutes: int) -> tuple[Asked, Answered]:
    """All of a visit: one session_id of a user, or events of a user without a longer gap."""
    events = events.filter(pl.col(c.EVENT_TYPE) != EVENT_TYPES[RETURN])
    if c.SESSION_ID in events.columns and events[c.SESSION_ID].null_count() < events.height:
        visit = pl.col(c.SESSION_ID)
    else:
        gap = pl.col(c.TIMESTAMP).diff().over(c.USER_ID) > pl.duration(minutes=gap_minutes)
        visit = gap.fill_null(False).cum_sum().over(c.USER_ID).cast(pl.String)
    named = events.with_columns(pl.format("{}/{}", c.USER_ID, visit).alias(KEY))
    named = named.filter(pl.col(KEY).is_not_null()).with_columns(pl.lit(-1, pl.Int32).alias(OWN))
    return _ask(named, KEY), _answers(named.filter(pl.col(c.LABEL) > 0), KEY, False)


def period(events: pl.DataFrame, days: int) -> tuple[Asked, Answered]:
    """What a user does within some days, asked at their start; counted from each window's start."""
    hits = events.filter((pl.col(c.LABEL) > 0) & pl.col("window_start").is_not_null())
    since = (pl.col(c.TIMESTAMP) - pl.col("window_start")).dt.total_microseconds()
    start = pl.col("window_start") + pl.duration(microseconds=since - since % (days * DAY_US))
    hits = hits.with_columns(start.alias("period_start"), pl.lit(-1, pl.Int32).alias(OWN))
    hits = hits.with_columns(pl.format("{}@{}", c.USER_ID, pl.col("period_start").dt.epoch("us")).alias(KEY))
    asked = _ask(hits.with_columns(pl.col("period_start").alias(c.TIMESTAMP)), KEY)
    return asked, _answers(hits, KEY, False)


Unit = Callable[[pl.DataFrame, int], tuple[Asked, Answered]]
UNITS: dict[str, Unit] = {
    "impression": impression,
    "event": event,
    "basket": basket,
    "session": session,
    "period": period,
}
