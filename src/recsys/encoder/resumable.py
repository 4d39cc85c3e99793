"""What a training has come to, out of a module and back into one."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recsys.encoder.lightning import pl
from recsys.encoder.text_tower import TextTower


class Resumable(pl.LightningModule):
    """The part of a module that further steps and the choice of the epoch depend on."""

    text: TextTower
    bank: Tensor
    rows: list[dict[str, Any]]
    _losses: list[float]
    _started: float
    _best: tuple[float, dict[str, Tensor]] | None
    _worse: int
    _stale: Tensor
    _resumed: bool

    def trained_state(self) -> dict[str, Tensor]:
        """Everything training may change, and the mean: a checkpoint, the pretrained model aside.

        Where the pretrained model itself was adapted, it belongs to it.
        """
        left = {k for k, p in self.text.named_parameters(prefix="text") if not p.requires_grad}
        state = {
            k: v
            for k, v in self.state_dict().items()
            if (self.text.adapted if k.startswith("text.base.") else k not in left)
        }
        return {k: v.detach().clone().contiguous() for k, v in state.items()}

    @property
    def steps_done(self) -> int:
        """Steps of the running epoch."""
        return len(self._losses)

    def progress(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What further steps depend on, the optimizer aside: tensors, and values that JSON can hold."""
        value, best = self._best or (None, {})
        tensors = {f"weights.{name}": tensor for name, tensor in self.trained_state().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
        tensors |= {"stale": self._stale, "losses": torch.tensor(self._losses, dtype=torch.float64)}
        if self.text.top is not None:  # else it is what the pretrained model gives
            tensors["bank"] = self.bank
        seconds = time.monotonic() - self._started
        return tensors, {"rows": self.rows, "best": value, "worse": self._worse, "seconds": seconds}

    def go_on(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Take up what `progress` gave, within the epoch in which it was taken."""
        weights: dict[str, dict[str, Tensor]] = {"weights": {}, "best": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            if rest:
                weights[part][rest] = tensor
        self.load_state_dict(weights["weights"], strict=False)
        self.bank = tensors.get("bank", self.bank)
        self._stale, self._losses = tensors["stale"], tensors["losses"].tolist()
        self._best = None if plain["best"] is None else (plain["best"], weights["best"])
        self._worse, self.rows = plain["worse"], list(plain["rows"])
        self._started, self._resumed = time.monotonic() - plain["seconds"], True
