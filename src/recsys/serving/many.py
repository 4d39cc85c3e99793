"""Many requests in one frame, one frame of answers."""

from typing import TYPE_CHECKING, Any

from recsys.core import columns as c
from recsys.core.errors import shown
from recsys.serving.answers import Answer
from recsys.serving.ids import one_id
from recsys.serving.observer import At

if TYPE_CHECKING:
    import polars as pl

    from recsys.serving.ranker import Ranker

ITEM_IDS, AT = "item_ids", "at"


def answer_many(ranker: "Ranker", requests: "pl.DataFrame", at: At, k: int | None) -> "pl.DataFrame":
    """Answer many requests.

    Parameters
    ----------
    ranker : Ranker
    requests : DataFrame
        ``user_id`` (null: nobody known) and, where a list is ranked, ``item_ids`` (a list a row; null:
        recommend from the catalogue). Rows may have their own ``at`` and be named by ``request_id``.
    at : datetime with time zone, "state", optional
        Of rows without one.
    k : int, optional
        As in `Ranker.rank`; recommendations are ten where nothing is said.

    Returns
    -------
    DataFrame
        request_id (the row's number where none is named), user_id, rank, item_id, score, and p_click,
        p_purchase where the bundle has them, known, fallback. Requests in the order given, best first.

    Raises
    ------
    ValueError
        For what is no frame with a user_id, and as in `Ranker.rank`, naming the row.
    """
    import polars as pl

    if not isinstance(requests, pl.DataFrame):
        raise ValueError(f"requests: expected a polars DataFrame; found {shown(requests)}")
    if c.USER_ID not in requests.columns:
        raise ValueError(f"requests: expected a column {c.USER_ID}; found {', '.join(requests.columns)}")
    names = pl.Series(c.REQUEST_ID, range(len(requests)), pl.Int64)
    if c.REQUEST_ID in requests.columns:
        names = requests[c.REQUEST_ID]
    users: list[str | None] = []
    answers = []
    for place, row in enumerate(requests.iter_rows(named=True)):
        try:
            users.append(None if row[c.USER_ID] is None else one_id(row[c.USER_ID], c.USER_ID))
            when = at if row.get(AT) is None else row[AT]
            answers.append(answer_one(ranker, users[-1], row.get(ITEM_IDS), k, at=when))
        except ValueError as error:
            raise ValueError(f"request {place}: {error}") from error
    sizes = [len(answer) for answer in answers]
    repeated = pl.Series("row", range(len(requests)), pl.UInt32).gather(
        [place for place, size in enumerate(sizes) for _ in range(size)]
    )
    of = pl.DataFrame({c.REQUEST_ID: names, c.USER_ID: pl.Series(users, dtype=pl.String)})
    frames = [answer.to_polars() for answer in answers] or [ranker.rank().to_polars()]
    found = pl.concat(frames)
    first = (c.RANK, c.ITEM_ID, c.SCORE)
    return of[repeated].hstack(found.select(*first, pl.exclude(first)))


def answer_one(
    ranker: "Ranker",
    user: str | None,
    item_ids: Any,
    k: int | None,
    *,
    at: At = None,
    exclude_seen: bool = True,
) -> Answer:
    """The order of a list, or the best of the catalogue (ten where nothing is said) where there is none."""
    if item_ids is None:
        return ranker.recommend(user, 10 if k is None else k, exclude_seen=exclude_seen, at=at)
    return ranker.rank(user, item_ids, at=at, k=k)
