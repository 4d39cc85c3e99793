"""Items like an item: by what their texts say, by what users did after it, or by both together."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import check_choice
from recsys.core.columns import CLICK
from recsys.core.log import HISTORY, View
from recsys.serving.asked_items import asked_items
from recsys.serving.bundle import Bundle
from recsys.state.neighbours import lists_of_all

Array = NDArray[Any]
By = Literal["text", "behaviour", "both"]
BYS = ("text", "behaviour", "both")
FUSED = 60.0  # of reciprocal rank fusion, as its authors have it
DEPTH = 200  # of each list that is fused, at least


class SimilarItems:
    """Answers of a bundle.

    Parameters
    ----------
    bundle : Bundle
        Its neighbour lists are read as they stand at each call.
    text_vector : function of a code and a description
        What the text of an item says: float32 (dims,), or None.
    """

    def __init__(
        self, bundle: Bundle, text_vector: Callable[[int, Mapping[str, Any] | None], Array | None]
    ) -> None:
        self._bundle, self._text_vector = bundle, text_vector

    def of(self, item: str | Mapping[str, Any], k: int, by: By, wanted: Array) -> tuple[Array, Array]:
        """The items most like one.

        Parameters
        ----------
        item : str or mapping
            An id, or the columns of an item that the catalogue may not know.
        k : int
        by : {"text", "behaviour", "both"}
            The cosine of pretrained text vectors; how strongly an item follows it in what users did (see
            `recsys.state.neighbours`); or the sum over both lists of ``1 / (60 + rank)``, reciprocal rank
            fusion (Cormack, Clarke and Buettcher, SIGIR 2009).
        wanted : bool array, shape (items,)
            The items that may be given; never the item itself.

        Returns
        -------
        codes : int32 array, scores : float64 array
            Best first, ties by code.

        Raises
        ------
        ValueError
            For another ``by``, and for ``by="text"`` where the bundle has no vectors.
        """
        check_choice("by", by, BYS)
        if by == "text" and self._bundle.vectors is None:
            raise ValueError('by="text" needs item vectors; this bundle has none: use by="behaviour"')
        given = item if isinstance(item, Mapping) else None
        asked = asked_items(None, [item]) if isinstance(item, Mapping) else asked_items([item])
        code = int(self._bundle.items.encode(asked.ids)[0])
        wanted = wanted.copy()
        if code >= 0:
            wanted[code] = False
        depth = k if by != "both" else max(k, DEPTH)
        lists = []
        if by != "behaviour" and (vector := self._text_vector(code, given)) is not None:
            lists.append(self._by_text(vector, depth, wanted))
        if by != "text" and code >= 0:
            lists.append(self._by_behaviour(code, depth, wanted))
        if by != "both":
            return lists[0] if lists else (np.empty(0, np.int32), np.empty(0))
        total = np.zeros(len(wanted))
        for codes, _ in lists:
            total[codes] += 1.0 / (FUSED + np.arange(1, len(codes) + 1))
        return _best(total, total > 0, k)

    def _by_text(self, vector: Array, k: int, wanted: Array) -> tuple[Array, Array]:
        assert self._bundle.vectors is not None
        raw = np.asarray(self._bundle.vectors.raw, np.float32)
        length = np.linalg.norm(raw, axis=1) * np.linalg.norm(vector)
        cosine = np.divide(raw @ vector, length, out=np.full(len(raw), np.nan, np.float32), where=length > 0)
        whole = np.full(len(wanted), np.nan)
        whole[: len(cosine)] = cosine
        return _best(whole, wanted & ~np.isnan(whole), k)

    def _by_behaviour(self, code: int, k: int, wanted: Array) -> tuple[Array, Array]:
        lists = lists_of_all(self._bundle.state.families)
        if lists is None:
            return np.empty(0, np.int32), np.empty(0)
        items, kinds = np.full(HISTORY, -1, np.int32), np.zeros(HISTORY, np.int8)
        items[0], kinds[0] = code, CLICK
        view = View(-1, 0, 1, items, kinds, np.zeros(HISTORY, np.int64))
        codes, scores = lists.offer(view, self._bundle.state.items, len(wanted))
        keep = wanted[codes]
        return codes[keep][:k], scores[keep][:k].astype(np.float64)


def _best(scores: Array, wanted: Array, k: int) -> tuple[Array, Array]:
    codes = np.flatnonzero(wanted)
    order = codes[np.argsort(-scores[codes], kind="stable")[:k]]
    return order.astype(np.int32), scores[order].astype(np.float64)
