"""What the trees say of rows."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]


class Judged(NamedTuple):
    """Scores of rows, and chances by name where the bundle has learned some."""

    scores: Array  # float64 (rows,)
    chances: Mapping[str, Array]  # float64 (rows,)

    def take(self, places: Any) -> "Judged":
        """Of some rows."""
        return Judged(self.scores[places], {name: chance[places] for name, chance in self.chances.items()})
