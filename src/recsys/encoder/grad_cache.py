"""Text vectors without their graph: a step's texts are encoded again, chunk by chunk, for the gradients.

This is the gradient cache of Gao et al. 2021 ("Scaling deep contrastive learning batch size under memory
limited setup"): encode without a graph, take the loss and its gradient on the vectors, then encode each
chunk once more and give it its part of that gradient. Autograd does the bookkeeping: each chunk is one
checkpointed call, whose backward pass is the second encoding. Loss and optimizer stay as they are, and as
dropout is off both encodings are the same, so the gradient is the plain one.
"""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Array = NDArray[Any]


def encode_twice(encode: Callable[[Array], Tensor], items: Array) -> Tensor:
    """``encode(items)`` without its graph, encoded again when its gradient comes.

    Parameters
    ----------
    encode : callable
        Vectors of some items, without randomness. It gathers its own inputs, so that only the items' codes
        are kept until then.
    items : int array, shape (items,)
        One chunk.
    """
    vectors: Tensor = checkpoint(encode, items, use_reentrant=False, preserve_rng_state=False)
    return vectors
