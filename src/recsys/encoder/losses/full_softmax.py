"""Softmax over the whole catalogue: vectors of the batch as they are, all others as last computed.

| input | shape | what |
|---|---|---|
| users | (pairs, dims) | user vectors, scaled |
| table | (items, dims) | vectors of the catalogue, no gradient |
| items | (fresh,) | the distinct items that the step encoded |
| fresh | (fresh, dims) | their vectors, with gradient |
| target | (pairs,) | the item of each pair, as a row of the table |
| weight | (pairs,) | weight of each pair |
| masked | (pairs, items) | True where an item is no negative for this pair |

The cross-entropy over all items that sampled losses approach. Its cost grows with the catalogue, and the
stale rows lag by the steps since they were computed: for catalogues of up to about 100,000 items.
"""

from torch import Tensor

from recsys.encoder.losses.sampled_softmax import sampled_softmax


def full_softmax(
    users: Tensor,
    table: Tensor,
    items: Tensor,
    fresh: Tensor,
    target: Tensor,
    weight: Tensor,
    masked: Tensor | None = None,
) -> Tensor:
    """Weighted mean cross-entropy of the targets; 0 where no pair has weight. Shapes: see the table above."""
    logits = users @ table.index_copy(0, items, fresh).T
    return sampled_softmax(logits, target, logits.new_zeros(()), weight, masked)  # nothing is sampled
