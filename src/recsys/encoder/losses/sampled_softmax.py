"""Softmax over a sample of the catalogue, corrected for how often each item is sampled.

| input | shape | what |
|---|---|---|
| logits | (pairs, candidates) | scaled similarity of a pair's user to each distinct candidate |
| target | (pairs,) | the place of the pair's item among the candidates |
| log_q | (candidates,) | log of the probability that an item is among the candidates |
| weight | (pairs,) | weight of each pair |
| masked | (pairs, candidates) | True where a candidate is no negative for this pair |

Candidates are distinct items, so an item never stands against itself under another position of the
batch. Subtracting log q makes the optimum that of the softmax over the whole catalogue (Bengio and
Senecal 2008; Yi et al. 2019, "Sampling-bias-corrected neural modeling").
"""

import torch
from torch import Tensor


def sampled_softmax(
    logits: Tensor, target: Tensor, log_q: Tensor, weight: Tensor, masked: Tensor | None = None
) -> Tensor:
    """Weighted mean cross-entropy of the targets; 0 where no pair has weight. Shapes: see the table above."""
    corrected = logits - log_q
    if masked is not None:
        masked = masked.scatter(1, target.unsqueeze(1), False)  # the target is never masked
        corrected = corrected.masked_fill(masked, float("-inf"))
    losses = torch.nn.functional.cross_entropy(corrected, target, reduction="none")
    return (losses * weight).sum() / weight.sum().clamp(min=1e-12)


def inclusion_log_q(share: Tensor, draws: int, uniform: float) -> Tensor:
    """Log probability that an item is a candidate.

    Parameters
    ----------
    share : float tensor, shape (items,)
        The item's share of the pairs.
    draws : int
        Pairs of a batch, whose items are all candidates.
    uniform : float
        Probability that the uniform draw alone takes an item.
    """
    missed = (1.0 - share.double()).clamp(min=0.0).pow(draws) * (1.0 - uniform)
    return (1.0 - missed).clamp(min=1e-12).log().float()
