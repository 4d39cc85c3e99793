"""Lightning's steps on the bar of the house."""

from collections.abc import Callable
from typing import Any

from recsys.encoder.lightning import pl


class StepBar(pl.Callback):
    """Tells a bar of each step and of how many samples it held.

    Parameters
    ----------
    advance : callable
        As `recsys.core.progress.counting` gives it.
    """

    def __init__(self, advance: Callable[[float], None]) -> None:
        self.advance = advance

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step is done: its samples are pairs or lists."""
        self.advance(len(batch.weight))
