"""What teaches an encoder and what judges it: pairs and shown lists, the last of each kept out."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import DataError
from recsys.core.log import EventLog, ListArrays, PairArrays
from recsys.encoder.batch import histories, select, select_lists
from recsys.encoder.config import EncoderConfig
from recsys.encoder.datamodule import ListData, PairData
from recsys.encoder.holdout import Holdout, ListHoldout, split_by_time
from recsys.encoder.trainer_config import TrainerConfig

Array = NDArray[Any]


class Teaching(NamedTuple):
    """Pairs, and lists where they teach."""

    pairs: PairData
    holdout: Holdout
    lists: ListData | None
    held_lists: ListHoldout | None

    def counts(self) -> dict[str, dict[str, int]]:
        """How much there is of each, for the manifest."""
        return {
            "pairs": {"learned": len(self.pairs.pairs.item), "holdout": len(self.holdout)},
            "lists": {"learned": len(self.lists or ()), "holdout": len(self.held_lists or ())},
        }


def make_teaching(
    pairs: PairArrays,
    lists: ListArrays | None,
    log: EventLog,
    known: Array,
    config: EncoderConfig,
    trainer: TrainerConfig,
    clock: bool,
) -> Teaching:
    """Split pairs and lists by time, and gather the history of each.

    Parameters
    ----------
    pairs, lists, log, config, trainer, clock
        As `recsys.encoder.train.train_encoder` has them.
    known : int64 array
        Codes of the known items, rising.

    Raises
    ------
    DataError
        Lists shall teach and there are none.
    """
    fit, kept = split_by_time(pairs, trainer.holdout)
    if config.lists == "judge":  # what comes before the lists that judge, and no hold-out beside them
        first = _judging(_there(lists), trainer).position.min()
        fit, kept = np.flatnonzero(pairs.position < first), np.flatnonzero(pairs.position >= first)
        if not len(fit):
            raise DataError(
                "encoder.lists=judge",
                expected="pairs before the lists that judge",
                found=f"none before the last {trainer.holdout_max} lists",
                do="Lower trainer.holdout_max, or set encoder.lists=none.",
            )
    learn, held = select(pairs, fit), select(pairs, kept)
    past = histories(log, learn.head, config.history, clock)
    before = histories(log, held.head, config.read_history, clock)
    return Teaching(
        PairData(learn, past, known, config),
        Holdout(held, before, known, trainer.holdout_max),
        *_lists(lists, log, config, trainer, clock),
    )


def _lists(
    lists: ListArrays | None, log: EventLog, config: EncoderConfig, trainer: TrainerConfig, clock: bool
) -> tuple[ListData | None, ListHoldout | None]:
    if config.lists == "none":
        return None, None
    lists = _there(lists)
    if config.lists == "judge":
        return None, _holdout(_judging(lists, trainer), log, config, trainer, clock)
    learn, held = (select_lists(lists, index) for index in split_by_time(lists, trainer.holdout))
    past = histories(log, learn.head, config.history, clock)
    return ListData(learn, past), _holdout(held, log, config, trainer, clock)


def _there(lists: ListArrays | None) -> ListArrays:
    if lists is None or not len(lists.user):
        raise DataError(
            "encoder.lists",
            expected="logged lists in the window fit, each with something taken and something left",
            found="none",
            do="Set encoder.lists=none, log impressions with their request_id, or move split.rank.",
        )
    return lists


def _judging(lists: ListArrays, trainer: TrainerConfig) -> ListArrays:
    """The last lists, as many as are measured."""
    order = np.argsort(lists.position, kind="stable")
    return select_lists(lists, order[-trainer.holdout_max :])


def _holdout(
    held: ListArrays, log: EventLog, config: EncoderConfig, trainer: TrainerConfig, clock: bool
) -> ListHoldout:
    before = histories(log, held.head, config.read_history, clock)
    return ListHoldout(ListData(held, before), trainer.holdout_max)
