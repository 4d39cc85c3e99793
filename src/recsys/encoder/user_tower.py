"""The trained half of the towers: vectors of items and of users from pooled text vectors.

Both start as the identity on the pretrained geometry: an item's trained vector is its raw one (or what
`recsys.encoder.interests` makes of that), and a user's vector is the mean of the history, plain or,
with ``recency``, the newer the more. Of an empty history, it is that of the mean user
(`recsys.encoder.prior`), what `recsys.encoder.interests` finds, or learned where such histories teach.
`recsys.interest.user` computes the same without torch.
"""

import math

import torch
from torch import Tensor, nn

from recsys.core.columns import EVENT_TYPES
from recsys.core.gaps import N_GAPS
from recsys.encoder.config import EncoderConfig

HEADS = ("click", "purchase")
EPS = 1e-12


def unit(x: Tensor) -> Tensor:
    """Scale to length one along the last axis; zero stays zero, and its gradient finite."""
    return x / (x.square().sum(-1, keepdim=True) + EPS).sqrt()


class ItemHead(nn.Module):
    """Centre, normalise, and add a residual: pooled text vectors (..., dims) to item vectors (..., dims)."""

    mean: Tensor

    def __init__(self, dims: int, size: int, interests: nn.Module | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dims))
        self.down = nn.Linear(dims, size)
        self.up = nn.Linear(size, dims, bias=False)
        self.interests = interests
        nn.init.zeros_(self.up.weight)

    def fit_mean(self, pooled: Tensor) -> None:
        """Keep the mean vector of the catalogue, which every vector is centred on."""
        self.mean.copy_(unit(pooled).mean(0))

    def raw(self, pooled: Tensor) -> Tensor:
        """Centred and normalised, nothing trained."""
        return unit(unit(pooled) - self.mean)

    def forward(self, pooled: Tensor) -> Tensor:
        """Centred, normalised, with the trained residual."""
        return self.adapt(self.raw(pooled))

    def adapt(self, centred: Tensor) -> Tensor:
        """The trained residual on vectors that are centred already."""
        begun = centred if self.interests is None else self.interests(centred)
        residual: Tensor = self.up(nn.functional.gelu(self.down(begun)))
        return unit(begun + residual)


class UserTower(nn.Module):
    """Attention pooling of a history by a few learned queries, with a residual for each head.

    A query's logit for an event is ``q . x + kind bias + order bias + gap bias``; each head mixes the
    pooled vectors and adds a low-rank map of all of them. An empty history has a vector of its own.
    """

    def __init__(self, dims: int, config: EncoderConfig) -> None:
        super().__init__()
        q, heads = config.queries, len(HEADS)
        self.query = nn.Parameter(torch.zeros(q, dims))
        self.kind_bias = nn.Parameter(torch.zeros(q, len(EVENT_TYPES)))
        # few steps over short histories would hardly move it
        self.order_bias = nn.Parameter(math.log(config.recency) * torch.arange(config.history).repeat(q, 1))
        self.gap_bias = nn.Parameter(torch.zeros(q, N_GAPS))
        self.mix = nn.Parameter(torch.full((heads, q), 1.0 / q))
        self.down = nn.Parameter(torch.randn(config.rank, q * dims) / math.sqrt(q))
        self.up = nn.Parameter(torch.zeros(heads, config.rank, dims))
        self.prior = nn.Parameter(torch.zeros(heads, dims))
        self.log_scale = nn.Parameter(torch.full((heads,), -math.log(config.temperature)))

    def forward(self, vectors: Tensor, kinds: Tensor, gaps: Tensor, real: Tensor) -> Tensor:
        """User vectors of some histories, newest event first.

        Parameters
        ----------
        vectors : float tensor, shape (users, events, dims)
        kinds, gaps : int64 tensors, shape (users, events)
        real : bool tensor, shape (users, events)
            False where a place is empty.

        Returns
        -------
        float tensor, shape (users, heads, dims)
            Of length one, that of an empty history aside.
        """
        place = torch.arange(vectors.shape[1], device=vectors.device).clamp(max=self.order_bias.shape[1] - 1)
        logits = vectors @ self.query.T  # (users, events, queries)
        look_up = nn.functional.embedding  # its gradient is several times as fast as that of indexing
        logits = logits + look_up(kinds, self.kind_bias.T) + look_up(gaps, self.gap_bias.T)
        logits = logits + self.order_bias.T[place]
        logits = logits.masked_fill(~real.unsqueeze(-1), -1e30)
        weights = torch.softmax(logits, dim=1) * real.unsqueeze(-1)
        pooled = weights.transpose(1, 2) @ vectors  # (users, queries, dims)
        low = pooled.flatten(1) @ self.down.T
        residual = torch.einsum("ur,hrd->uhd", low, self.up)
        user = unit(torch.einsum("hq,uqd->uhd", self.mix, pooled) + residual)
        some = real.any(1)[:, None, None]
        return torch.where(some, user, self.prior)

    def scale(self) -> Tensor:
        """What a cosine is multiplied by before the softmax, by head; at most 100."""
        return self.log_scale.clamp(max=math.log(100.0)).exp()
