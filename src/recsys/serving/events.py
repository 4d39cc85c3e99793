"""Events as a service has them (strings, dates), checked as a whole before any of them is applied."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from recsys.core import columns as c
from recsys.core.checks import MOST_FLOAT32
from recsys.core.errors import DataError, shown
from recsys.core.log import FIRST, LAST
from recsys.serving.ids import id_text, refusal, several

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TUPLE = (c.USER_ID, c.ITEM_ID, c.EVENT_TYPE, c.TIMESTAMP)
NAN = float("nan")
NOT_APPLIED = "None of the events was applied."
MOST_POSITION = 32_767  # what the log's int16 holds


class GivenEvent(NamedTuple):
    """One event with its strings; NaN and -1 where nothing was given."""

    user_id: str
    item_id: str
    time: int  # microseconds
    kind: int  # index into EVENT_TYPES
    value: float
    price: float
    from_request: bool
    position: int
    event_id: str | None

    @property
    def facts(self) -> tuple[int, int, float, float, int, int]:
        """What `State.observe` takes after user and item."""
        request = 0 if self.from_request else -1  # families ask only whether there was one
        return self.time, self.kind, self.value, self.price, request, self.position


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC; a time without a zone is a ``ValueError``."""
    if moment.utcoffset() is None:
        raise ValueError(f"a time needs a time zone, found {moment.isoformat()} without one")
    return (moment - EPOCH) // timedelta(microseconds=1)


def _number(value: Any) -> float:
    if getattr(value, "ndim", 0):  # an array of one number, which float() still takes
        raise TypeError("an array")
    number = NAN if value is None else float(value)
    if abs(number) > MOST_FLOAT32:
        raise ValueError(f"{shown(value)}, which no float32 holds")
    return number


def _one(row: Mapping[str, Any], what: str, now: int, ahead: datetime, do: str) -> GivenEvent:
    def wrong(column: str, expected: str, found: str) -> DataError:
        return DataError(f"{what}, {column}", expected=expected, found=found, do=do)

    def named(column: str) -> str:
        text = id_text(row.get(column))
        if text is None:
            raise wrong(column, *refusal(row.get(column)))
        return text

    user, item = named(c.USER_ID), named(c.ITEM_ID)
    kind = row.get(c.EVENT_TYPE)
    if not isinstance(kind, str) or kind not in c.EVENT_TYPES:
        raise wrong(c.EVENT_TYPE, f"one of {', '.join(c.EVENT_TYPES)}", shown(kind))
    moment = row.get(c.TIMESTAMP)
    if moment is not None and not (isinstance(moment, datetime) and moment.utcoffset() is not None):
        raise wrong(c.TIMESTAMP, "a datetime with a time zone", shown(moment))
    if moment is not None and not FIRST <= moment < LAST:
        raise wrong(c.TIMESTAMP, "a time between 1990 and 2100", moment.isoformat())
    if moment is not None and moment > ahead:
        raise wrong(c.TIMESTAMP, f"a time no later than {ahead.isoformat()}", moment.isoformat())
    event_id = None if row.get(c.EVENT_ID) is None else named(c.EVENT_ID)
    try:
        position = _number(row.get(c.POSITION))
        if position == position and not (-1 <= position <= MOST_POSITION and position.is_integer()):
            raise ValueError(f"position {shown(row[c.POSITION])}")
        return GivenEvent(
            user_id=user,
            item_id=item,
            time=now if moment is None else microseconds(moment),
            kind=c.EVENT_TYPES.index(kind),
            value=_number(row.get(c.VALUE)),
            price=_number(row.get(c.PRICE)),
            from_request=row.get(c.REQUEST_ID) is not None,
            position=int(position) if position == position else -1,
            event_id=event_id,
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong("value, price or position", "a number", str(error)) from error


def parse_events(
    events: Any,
    now: int,
    ahead: datetime = LAST,
    *,
    columns: Sequence[str] = TUPLE,
    what: str = "event",
    do: str = NOT_APPLIED,
) -> list[GivenEvent]:
    """Read events in any of their shapes.

    Parameters
    ----------
    events : polars frame, or iterable of mappings or of tuples
        Columns as in the events table: user_id, item_id, event_type, timestamp, and where known value,
        price, request_id, position, event_id.
    now : int
        Microseconds, the time of an event without one.
    ahead : datetime
        No event may be later: a state cannot forget, so one wrong clock would stop every later request.
    columns : sequence of str
        Of a tuple; the last may be left out. Without user_id among them, all events are of one user.
    what, do : str
        What an event is called in errors, and what they say of the others.

    Raises
    ------
    DataError
        Names the first event and column that cannot be used.
    ValueError
        For what does not hold several events.
    """
    given = events.to_dicts() if hasattr(events, "to_dicts") else events
    rows = several(given, what, "a polars frame, or several mappings or tuples")
    nobody = {} if c.USER_ID in columns else {c.USER_ID: ""}
    return [
        _one({**_mapping(row, columns, name, do), **nobody}, name, now, ahead, do)
        for row, name in ((row, f"{what} {place}") for place, row in enumerate(rows))
    ]


def _mapping(row: Any, columns: Sequence[str], what: str, do: str) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        return row
    n = len(columns)
    if isinstance(row, Sequence) and not isinstance(row, str) and len(row) in (n - 1, n):
        return dict(zip(columns, row, strict=False))
    raise DataError(
        what, expected=f"a mapping of columns, or a tuple {', '.join(columns)}", found=shown(row), do=do
    )
