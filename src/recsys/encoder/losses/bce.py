"""Binary cross-entropy of each pair's item against one drawn negative: the usual loss of two-tower models.

| input | shape | what |
|---|---|---|
| logits | (pairs, candidates) | scaled similarity of a pair's user to each distinct candidate |
| target | (pairs,) | the place of the pair's item among the candidates |
| weight | (pairs,) | weight of each pair |
| masked | (pairs, candidates) | True where a candidate is no negative for this pair |

The mean of ``softplus(-positive)`` and ``softplus(negative)`` (as SASRec trains, Kang and McAuley 2018). It
is here to be compared with: one negative a pair says less than the softmax over all candidates, and its
optimum holds an item's popularity.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus


def one_negative_bce(logits: Tensor, target: Tensor, weight: Tensor, masked: Tensor | None = None) -> Tensor:
    """Weighted mean over pairs; a pair without any candidate left has no negative. Shapes: see above."""
    place = target.unsqueeze(1)
    allowed = torch.ones_like(logits, dtype=torch.bool) if masked is None else ~masked
    allowed = allowed.scatter(1, place, False)
    drawn = torch.rand_like(logits).masked_fill(~allowed, -1.0).argmax(1, keepdim=True)
    positive, negative = logits.gather(1, place).squeeze(1), logits.gather(1, drawn).squeeze(1)
    against = softplus(negative) * allowed.any(1)
    return (0.5 * (softplus(-positive) + against) * weight).sum() / weight.sum().clamp(min=1e-12)
