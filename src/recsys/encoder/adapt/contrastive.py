"""A title and what else is said of its item are brought together, against those of a batch's other items.

The usual in-batch softmax in both directions (InfoNCE, van den Oord et al. 2018; both ways as in Radford et
al. 2021, "CLIP"), on unit vectors. Texts that are the same word for word are no negatives of each other:
many items share a description, a brand or a category.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

TEMPERATURE = 0.05


def contrastive_loss(first: Tensor, second: Tensor, first_text: Tensor, second_text: Tensor) -> Tensor:
    """Mean cross-entropy of each part's own other part, over both directions.

    Parameters
    ----------
    first, second : float tensors, shape (items, dims)
        Vectors of both parts of each item.
    first_text, second_text : int64 tensors, shape (items,)
        A number for each distinct text; the same number, the same text.
    """
    logits = normalize(first, dim=1) @ normalize(second, dim=1).T / TEMPERATURE
    same = (first_text[:, None] == first_text) | (second_text[:, None] == second_text)
    logits = logits.masked_fill(same.fill_diagonal_(False), float("-inf"))
    own = torch.arange(len(logits), device=logits.device)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
