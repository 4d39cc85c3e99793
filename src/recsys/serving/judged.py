"""What the trees say of rows, and the answer that is made of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.serving.answers import Answer, Fallback

Array = NDArray[Any]


class Judged(NamedTuple):
    """Scores of rows, what each was judged by, and chances by name where the bundle has learned some."""

    scores: Array  # float64 (rows,)
    known: Array  # int8 (rows,), as in `Answer`
    chances: Mapping[str, Array]  # float64 (rows,)

    def take(self, places: Any) -> "Judged":
        """Of some rows."""
        chances = {name: chance[places] for name, chance in self.chances.items()}
        return Judged(self.scores[places], self.known[places], chances)


def answer_of(item_ids: Sequence[str], judged: Judged, fallback: Fallback, chances: bool = True) -> Answer:
    """The answer that holds some rows, best first; chances may have been there for their order alone."""
    ranks = np.arange(1, len(item_ids) + 1, dtype=np.int32)
    given = judged.chances if chances else {}
    for array in (judged.scores, ranks, judged.known, *given.values()):
        array.setflags(write=False)
    return Answer(tuple(item_ids), judged.scores, ranks, judged.known, fallback, **given)
