"""How well held-out next items are ranked within the catalogue, epoch by epoch."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys.core.log import ListArrays, PairArrays
from recsys.encoder.batch import Histories, ListBatch, purchase_weight
from recsys.encoder.datamodule import ListData
from recsys.metrics.ranking import lists, per_request, positives

Array = NDArray[Any]
K = 10


def split_by_time(pairs: PairArrays | ListArrays, share: float) -> tuple[Array, Array]:
    """Indices of what to learn from and of what is kept out: the last share by log position."""
    order = np.argsort(pairs.position, kind="stable")
    kept = len(order) - int(len(order) * share)
    return order[:kept], order[kept:]


def target_ranks(users: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
    """The rank, from 0, of each user's target among all vectors; a tie counts at its mid rank.

    Parameters
    ----------
    users : Tensor, shape (pairs, dims)
    vectors : Tensor, shape (items, dims)
    targets : int64 tensor, shape (pairs,)
        Rows of ``vectors``.
    """
    scores = users @ vectors.T
    own = scores.gather(1, targets.unsqueeze(1))
    above = (scores > own).sum(1)
    ties = (scores == own).sum(1) - 1
    return above + 0.5 * ties.clamp(min=0)


class Holdout:
    """The pairs kept out, with their histories.

    Parameters
    ----------
    pairs : PairArrays
    past : Histories
        Of the same pairs.
    known : int array
        Codes of the items that are ranked; pairs with another item are left out.
    limit : int
        Most pairs; the last are kept.
    """

    def __init__(self, pairs: PairArrays, past: Histories, known: Array, limit: int) -> None:
        place = np.full(max(int(known.max(initial=-1)), int(pairs.item.max(initial=-1))) + 2, -1, np.int64)
        place[known] = np.arange(len(known))
        use = np.flatnonzero(place[pairs.item] >= 0)[-limit:] if limit else np.empty(0, np.int64)
        self.known = torch.from_numpy(np.asarray(known, np.int64))
        self.target = torch.from_numpy(place[pairs.item[use]])
        self.bought = torch.from_numpy(purchase_weight(pairs)[use] > 0)
        self.items = torch.from_numpy(past.items[use].astype(np.int64))
        self.kinds = torch.from_numpy(past.kinds[use].astype(np.int64))
        self.gaps = torch.from_numpy(past.gaps[use].astype(np.int64))

    def __len__(self) -> int:
        return len(self.target)

    @torch.no_grad()
    def measure(self, user_tower: torch.nn.Module, vectors: Tensor) -> dict[str, float]:
        """NDCG and recall at 10 of the click head on all pairs, and of the purchase head on purchases.

        With one target a pair, NDCG is ``1 / log2(rank + 2)`` within the first ten.
        """
        catalogue = vectors[self.known.to(vectors.device)]
        ranks: list[list[Tensor]] = [[], []]
        for start in range(0, len(self), 256):
            part = slice(start, start + 256)
            items = self.items[part].to(vectors.device)
            history = vectors[items.clamp(min=0)]
            device = vectors.device
            users = user_tower(history, self.kinds[part].to(device), self.gaps[part].to(device), items >= 0)
            target = self.target[part].to(vectors.device)
            for head in range(2):
                ranks[head].append(target_ranks(users[:, head], catalogue, target).cpu())
        click, purchase = (torch.cat(r) if r else torch.empty(0) for r in ranks)
        out = _metrics("click", click)
        if bool(self.bought.any()):
            out |= _metrics("purchase", purchase[self.bought])
        return out


class ListHoldout:
    """The shown lists kept out, with their histories.

    Parameters
    ----------
    data : ListData
    limit : int
        Most lists; the last are kept.
    """

    def __init__(self, data: ListData, limit: int) -> None:
        self.data = data
        self.index = np.arange(len(data))[-limit:] if limit else np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.index)

    @torch.no_grad()
    def measure(self, user_tower: torch.nn.Module, vectors: Tensor) -> dict[str, float]:
        """Mean over lists of AUC and of NDCG at 10 of the click head; any event that teaches gains 1."""
        parts: list[Array] = []
        for start in range(0, len(self), 256):
            batch = ListBatch(
                *(t.to(vectors.device) for t in self.data.batch(self.index[start : start + 256]))
            )
            table = vectors[batch.items]
            users = user_tower(table[batch.history], batch.kinds, batch.gaps, batch.real)[:, 0]
            scores = torch.einsum("bwd,bd->bw", table[batch.place], users)
            parts.append(list_metrics(scores, batch.weight > 0, batch.shown))
        if not parts:
            return {}
        auc, ndcg = np.concatenate(parts).mean(0).tolist()
        return {"holdout/list_auc": auc, f"holdout/list_ndcg_at_{K}": ndcg}


def list_metrics(scores: Tensor, taken: Tensor, shown: Tensor) -> Array:
    """AUC and NDCG at 10 of each list, ties at their mid rank: float64, shape (lists, 2).

    Parameters
    ----------
    scores : Tensor, shape (lists, places)
    taken, shown : bool tensors, shape (lists, places)
        Each list has an item that was taken and one that was not.
    """
    offsets = np.concatenate(([0], np.cumsum(shown.sum(1).cpu().numpy())))
    found = positives(lists(offsets, scores[shown].cpu().numpy(), taken[shown].cpu().numpy()))
    return np.stack((per_request(found, "auc"), per_request(found, "ndcg", K)), 1)


def _metrics(head: str, ranks: Tensor) -> dict[str, float]:
    if not len(ranks):
        return {}
    hit = ranks < K
    gain = torch.where(hit, 1.0 / torch.log2(ranks + 2.0), 0.0)
    return {
        f"holdout/{head}_ndcg_at_{K}": float(gain.double().mean()),
        f"holdout/{head}_recall_at_{K}": float(hit.double().mean()),
    }
