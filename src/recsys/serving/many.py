"""Many requests in one frame, one frame of answers."""

from typing import TYPE_CHECKING, Any

from recsys.core import columns as c
from recsys.serving.answers import Answer
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
        p_purchase where the bundle has them. Requests in the order given, best first.

    Raises
    ------
    ValueError
        For a frame without user_id, and as in `Ranker.rank`, naming the row.
    """
    import polars as pl

    if c.USER_ID not in requests.columns:
        raise ValueError(f"requests: expected a column {c.USER_ID}; found {', '.join(requests.columns)}")
    names = pl.Series(c.REQUEST_ID, range(len(requests)), pl.Int64)
    if c.REQUEST_ID in requests.columns:
        names = requests[c.REQUEST_ID]
    answers = []
    for place, row in enumerate(requests.iter_rows(named=True)):
        try:
            answers.append(_one(ranker, row, at, k))
        except ValueError as error:
            raise ValueError(f"request {place}: {error}") from error
    sizes = [len(answer) for answer in answers]
    repeated = pl.Series("row", range(len(requests)), pl.UInt32).gather(
        [place for place, size in enumerate(sizes) for _ in range(size)]
    )
    of = pl.DataFrame({c.REQUEST_ID: names, c.USER_ID: requests[c.USER_ID].cast(pl.String)})
    frames = [answer.to_polars() for answer in answers] or [ranker.rank().to_polars()]
    found = pl.concat(frames)
    first = (c.RANK, c.ITEM_ID, c.SCORE)
    return of[repeated].hstack(found.select(*first, pl.exclude(first)))


def _one(ranker: "Ranker", row: dict[str, Any], at: At, k: int | None) -> Answer:
    user = None if row[c.USER_ID] is None else str(row[c.USER_ID])
    when = at if row.get(AT) is None else row[AT]
    if row.get(ITEM_IDS) is None:
        return ranker.recommend(user, 10 if k is None else k, at=when)
    return ranker.rank(user, row[ITEM_IDS], at=when, k=k)
