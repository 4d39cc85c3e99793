"""Who has no history reads as the mean user."""

import torch
from torch import Tensor

from recsys.encoder.batch import Histories
from recsys.encoder.user_tower import UserTower

BATCH = 4096


@torch.no_grad()
def mean_user(user: UserTower, vectors: Tensor, past: Histories) -> Tensor:
    """The mean of the vectors of some histories: what a user is expected to be before anything is known.

    Pairs without a history could teach that vector by gradient. They would teach items how popular they are
    as well, at the cost of what they mean to users who are known.

    Parameters
    ----------
    user : UserTower
    vectors : float tensor, shape (items, dims)
    past : Histories
        None of them empty.

    Returns
    -------
    float tensor, shape (heads, dims)
    """
    total = torch.zeros_like(user.prior)
    for start in range(0, len(past.items), BATCH):
        items, kinds, gaps = (torch.from_numpy(column[start : start + BATCH]).long() for column in past)
        some = vectors[items.clamp(min=0)]
        total += user(some, kinds, gaps, items >= 0).sum(0)
    return total / len(past.items)
