"""What describes rows as of their requests: behaviour from the state, interest columns from the encoder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from recsys.core.log import RowBlock, heads
from recsys.data.prepare import Prepared
from recsys.data.requests import request_arrays
from recsys.features.assemble import assemble
from recsys.interest.score import INTEREST_COLUMNS, score_rows
from recsys.interest.user import load_user_tower
from recsys.interest.vectors import load_vectors
from recsys.pipelines.variants import Sight
from recsys.state.family import StateConfig
from recsys.state.store import State

Array = NDArray[Any]
Block = tuple[tuple[str, ...], Array]  # names, and float32 (rows, names)


class Describer:
    """Blocks of columns for any rows of a run's requests.

    Parameters
    ----------
    inputs : mapping of stage to folder
        ``train-encoder`` and ``embed``.
    data : Prepared
    config : StateConfig
        The feature rows.
    threads : int
        Families work side by side.
    """

    def __init__(self, inputs: Mapping[str, Path], data: Prepared, config: StateConfig, threads: int) -> None:
        clock = bool(data.meta["clock"])
        self._data, self._threads = data, threads
        self._requests = request_arrays(data.requests)
        self._tower = load_user_tower(inputs["train-encoder"], clock)
        self._vectors = load_vectors(inputs["embed"])
        self._state = State.new(config, clock, len(data.users), data.item_table, views=False)

    def behaviour(self, sight: Sight, rows: RowBlock) -> Block:
        """The columns of the state's families."""
        data, requests = self._data, self._requests
        return assemble(
            self._state,
            data.log,
            data.item_table,
            requests,
            sight.cuts,
            rows,
            left_out=sight.left_out,
            threads=self._threads,
        )

    def interest(self, sight: Sight, rows: RowBlock) -> Block:
        """The interest columns; ranks and z-scores are within the rows of a request."""
        entrance = heads(self._data.log, self._requests.user, sight.cuts["user"])
        raw, tuned = self._vectors.raw, self._vectors.tuned
        return INTEREST_COLUMNS, score_rows(self._tower, tuned, raw, self._data.log, entrance, rows)

    @property
    def columns(self) -> Sequence[str]:
        """The names of the behaviour columns."""
        return self._state.names
