"""The loop of a first step: seeded batches of texts of like length, AdamW, a rate that falls."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys.core.errors import DataError

Array = NDArray[Any]
POOL = 16  # batches whose texts are sorted by length among each other


def shuffled_batches(lengths: Array, size: int, rng: np.random.Generator) -> list[Array]:
    """Random batches of about ``size`` texts of like length, in random order; each text once.

    Parameters
    ----------
    lengths : int array, shape (texts,)
    size : int
    rng : numpy Generator
    """
    order = rng.permutation(len(lengths))
    batches: list[Array] = []
    for start in range(0, len(order), POOL * size):
        pool = order[start : start + POOL * size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += np.array_split(pool, max(1, len(pool) // size))  # none is much smaller than the others
    return [batches[i] for i in rng.permutation(len(batches))]


def train_epochs(
    name: str,
    parameters: Iterable[nn.Parameter],
    epochs: list[list[Array]],
    loss_of: Callable[[Array], Tensor],
    lr: float,
) -> list[float]:
    """Minimise a loss over the batches of some epochs; returns the mean loss of each.

    Raises
    ------
    DataError
        A loss that is no number.
    """
    trained = list(parameters)
    optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0.01)
    total = sum(map(len, epochs))
    means, done = [], itertools.count()
    for number, batches in enumerate(epochs, start=1):
        losses = []
        for batch in batches:
            for group in optimizer.param_groups:
                group["lr"] = lr * (1.0 - 0.9 * next(done) / total)
            loss = loss_of(batch)
            losses.append(float(loss.detach()))
            if not np.isfinite(losses[-1]):
                raise DataError(
                    f"the {name} loss at epoch {number}",
                    expected="a finite number",
                    found=str(losses[-1]),
                    do="Lower encoder.adapt.lr.",
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
        means.append(float(np.mean(losses)))
    return means
