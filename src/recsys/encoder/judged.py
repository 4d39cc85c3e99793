"""How a module is measured between epochs, and which of its states is kept."""

import time
from typing import Any

from torch import Tensor

from recsys.encoder.config import EncoderConfig
from recsys.encoder.holdout import Holdout, ListHoldout
from recsys.encoder.interpolate import best_between
from recsys.encoder.resumable import Resumable
from recsys.encoder.user_tower import HEADS, UserTower

MONITOR, LIST_MONITOR = "holdout/click_ndcg_at_10", "holdout/list_auc"


class Judged(Resumable):
    """The part of a module that the hold-out looks at: the best state so far, and how long ago it was."""

    config: EncoderConfig
    user: UserTower
    holdout: Holdout | None
    lists: ListHoldout | None
    origin: dict[str, Tensor]

    def item_vectors(self, pooled: Tensor, items: Tensor | None = None, step: bool = False) -> Tensor:
        """Vectors of some items (by default of all) from pooled ones."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Encode the whole catalogue with the layers as they stand."""
        raise NotImplementedError

    def begin(self) -> None:
        """The weights as they are now are where training starts."""
        self.origin = self.trained_state() if self.config.interpolate else {}

    @property
    def monitor(self) -> str:
        """What chooses the epoch: how held-out lists are ranked where lists teach, else held-out pairs."""
        return LIST_MONITOR if self.lists is not None and len(self.lists) else MONITOR

    def _close_epoch(self, epoch: int, kind: str, loss: float) -> None:
        row: dict[str, Any] = {"epoch": epoch + 1, "kind": kind, "train/loss": loss}
        if self.holdout is not None and len(self.holdout):
            row |= self._measure()
            state = self.trained_state()
            better = self._keep_best(row[self.monitor], state)
            if self.config.interpolate and epoch >= 0:
                row["share"], value, weights = best_between(
                    self, self.origin, state, lambda: self._measure()[self.monitor]
                )
                row[f"{self.monitor}_at_share"] = value
                better |= self._keep_best(value, weights)
            self._worse = 0 if better else self._worse + 1
        row["seconds"] = time.monotonic() - self._started
        row["scale_click"], row["scale_purchase"] = self.user.scale().tolist()[: len(HEADS)]
        self.rows.append(row)

    def _measure(self) -> dict[str, float]:
        """The hold-out's metrics as things stand."""
        assert self.holdout is not None
        vectors = self.item_vectors(self.bank).detach()
        found = self.holdout.measure(self.user, vectors)
        return found if self.lists is None else found | self.lists.measure(self.user, vectors)

    def _keep_best(self, value: float, state: dict[str, Tensor]) -> bool:
        """Whether a state is the best so far; it is kept then."""
        better = self._best is None or value > self._best[0]
        if better:
            self._best = (value, state)
        return better

    def restore_best(self) -> None:
        """Go back to the epoch that did best on the hold-out, where there is one."""
        if self._best is not None:  # weights on the way there are no epoch's
            self.load_state_dict(self._best[1], strict=False)
            self.refresh()

    def outcome(self) -> tuple[int, float, dict[str, float]]:
        """The epoch whose weights were kept (0: the start), how much of the way to it, and the metrics."""
        if self.holdout is None or not len(self.holdout):
            return int(self.rows[-1]["epoch"]), 1.0, {}
        name = self.monitor
        reached = [(row[name], row, 1.0) for row in self.rows]
        reached += [(row[f"{name}_at_share"], row, row["share"]) for row in self.rows if "share" in row]
        _, row, share = max(reached, key=lambda one: (one[0], -one[1]["epoch"]))
        if share < 1.0:  # the row has the metrics at its own end
            return int(row["epoch"]), float(share), self._measure()
        return (
            int(row["epoch"]),
            1.0,
            {k: v for k, v in row.items() if k.startswith("holdout/") and "_at_share" not in k},
        )
