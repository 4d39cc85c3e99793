"""AdamW for dense weights, row-wise Adagrad for tables of which a step touches a few rows."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from recsys.encoder.id_tower import IdTower
from recsys.encoder.trainer_config import TrainerConfig

EPS = 1e-8
ROWWISE = "rowwise"  # marks the group of the tables


def parameter_groups(
    own: Iterable[nn.Module], text: nn.Module, ids: IdTower | None, trainer: TrainerConfig
) -> list[dict[str, Any]]:
    """What is trained, each part at its own rate: our towers, the language model's layers, the id tables."""
    found: list[dict[str, Any]] = [{"params": [p for one in own for p in one.parameters()], "lr": trainer.lr}]
    top = [p for p in text.parameters() if p.requires_grad]
    if top:
        found.append({"params": top, "lr": trainer.text_lr})
    if ids is not None:
        found.append({"params": [*ids.parameters()], "lr": ids.config.lr, ROWWISE: True})
    return found


class TableAdamW(torch.optim.AdamW):
    """AdamW; a group with ``rowwise=True`` holds tables and learns by row-wise Adagrad.

    A row's step is ``lr * g / (sqrt(s) + 1e-8)``, where ``s`` gathers the mean square of the row's
    gradients (Duchi et al. 2011, one number a row). Rows without gradient stay as they are: no decay, no
    momentum. It is the rule that torchrec runs inside the backward pass of sharded tables.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the tables' gradients are used up."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group.get(ROWWISE):
                for table in group["params"]:
                    if table.grad is not None:
                        self._rows(table, table.grad, group["lr"])
                        table.grad = None
        super().step()
        return loss

    def _rows(self, table: Tensor, gradient: Tensor, lr: float) -> None:
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros(())  # AdamW looks for it when a state is loaded
            state["sum"] = torch.zeros(len(table), device=table.device)
        state["step"] += 1
        sparse = gradient.coalesce()
        rows, values = sparse.indices()[0], sparse.values()
        total = state["sum"][rows] + values.square().mean(1)
        state["sum"][rows] = total
        table[rows] -= lr * values / (total.sqrt().unsqueeze(1) + EPS)


def clip_dense(optimizer: torch.optim.Optimizer, most: float | None) -> None:
    """Scale the gradients of all but the tables so that their norm is at most ``most``, if that is given."""
    if not most:
        return
    dense = [p for group in optimizer.param_groups if not group.get(ROWWISE) for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(dense, most)
