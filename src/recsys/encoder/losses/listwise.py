"""Softmax over the list that was shown: what was taken against what was seen and left.

| input | shape | what |
|---|---|---|
| logits | (lists, places) | scaled similarity of a list's user to each item shown |
| weight | (lists, places) | weight of what followed; 0 where nothing did |
| shown | (lists, places) | False where a list is shorter than the longest |

The cross-entropy of ListNet with top-one probabilities (Cao et al. 2007, "Learning to rank: from pairwise
approach to listwise approach"). A list is a choice among what the user saw, so no correction for sampling
is due; what made the list be shown at all is not learned here.
"""

import torch
from torch import Tensor


def listwise_softmax(logits: Tensor, weight: Tensor, shown: Tensor) -> Tensor:
    """Weighted mean cross-entropy of what was taken; 0 where nothing was. Shapes: see the table above."""
    log_p = torch.log_softmax(logits.masked_fill(~shown, float("-inf")), dim=1)
    losses = -(weight * log_p.masked_fill(~shown, 0.0)).sum()
    return losses / weight.sum().clamp(min=1e-12)
