"""Where training may begin instead of at the pretrained geometry: the directions in which users are constant.

Two texts can be near each other in ways that no user cares about. Which ways count, the histories say in
closed form: an item's features are the taste of its user, ``u ~ N(0, B)``, and what this one item adds,
``N(0, W)`` (probabilistic linear discriminant analysis with users as the classes: Ioffe 2006; Prince and
Elder 2007). B is the mean product of two different items of a user, B + W the mean square of all. With
``G' W G = 1`` and ``G' B G = diag(l)``, the log-likelihood ratio that an item x is of the user whose n items
have the mean m, rather than of anybody, is, but for what depends on x or on m alone,

    sum over k of  n l_k / (1 + (n + 1) l_k)  (G'm)_k (G'x)_k

so item vectors whose mean over a history is the user's take the roots of these weights. A text's features
are its centred vector and its nearness to the means of a clustering of the catalogue, since tastes follow
topics and not only straight lines. Both ends of a product are items of users' choice, so that which items
are popular, or new, has no part in it: gradient steps on clicks learn that first.

The taste's mean is 0 in these features, which are centred over all pairs, where those who had much count
much. Over users it is not: half of the mean user's vector, each user counting once, is added to each item.
Histories are then drawn towards what anybody wants, as the posterior mean ``(n m + k a) / (n + k)`` under a
prior ``a`` worth k events draws them (Robbins 1956; Efron and Morris 1975), but with k half of n for every n:
a mean over items does not tell how many they were. Who has no history at all has the mean user's vector.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys.core.errors import DataError
from recsys.core.log import PairArrays
from recsys.encoder.user_tower import unit

Array = NDArray[Any]
SHARPNESS, WEIGHT = 15.0, 0.7  # of the softmax over topics, and its length beside the text's 1
HISTORY = 10  # n above, on which vectors depend little
RIDGE = 1.0  # of W, in units of its features' mean square
LEAN = 0.5  # of the mean user's vector, in an item's
MOST_DIRECTIONS = 128  # of vectors that have more dimensions; the others stay for training
LEAST = 1e-3  # length of all directions together, in units of a feature vector's
PASSES, MOST_TEXTS, CHUNK = 8, 50_000, 8_192  # of the clustering; pairs at a time


class Interests(nn.Module):
    """Centred text vectors (..., dims) to vectors (..., dims) of length one, by what histories agree in."""

    centres: Tensor
    offset: Tensor
    directions: Tensor
    average: Tensor

    def __init__(self, dims: int, topics: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(topics, dims))
        self.register_buffer("offset", torch.zeros(dims + topics))
        self.register_buffer("directions", torch.eye(min(MOST_DIRECTIONS, dims), dims + topics))
        self.register_buffer("average", torch.zeros(len(self.directions)))
        self.dims = dims

    def features(self, centred: Tensor) -> Tensor:
        """The text's vector, and its nearness to each topic: (..., dims + topics)."""
        near = torch.softmax(SHARPNESS * (centred @ self.centres.T), -1)
        return torch.cat((centred, WEIGHT * unit(near)), -1)

    def forward(self, centred: Tensor) -> Tensor:
        """Vectors whose mean over a history is its user's."""
        return self._leaning(self.features(centred))

    def _leaning(self, features: Tensor) -> Tensor:
        found = unit((features - self.offset) @ self.directions.T)
        return nn.functional.pad(unit(found + LEAN * self.average), (0, self.dims - len(self.directions)))

    @torch.no_grad()
    def fit(self, centred: Tensor, pairs: PairArrays, known: Array, seed: int) -> Tensor:
        """Learn topics from the known items' texts and directions from what users had.

        Parameters
        ----------
        centred : Tensor, shape (items, dims)
            Centred text vectors of the catalogue, of length one.
        pairs : PairArrays
            Each item counts once a user, and users of one item not at all; weights and kinds are not
            read. Takes 12 bytes for each dimension and topic of an item, 8 for each dimension of a user.
        known : int64 array
            Codes of the items that may be seen.
        seed : int

        Returns
        -------
        Tensor, shape (dims,)
            The mean of users' vectors, for somebody without a history.

        Raises
        ------
        DataError
            No user has two items, or no users have items that are alike in anything.
        """
        rng = np.random.default_rng(seed)
        seen = rng.choice(known, min(MOST_TEXTS, len(known)), replace=False)
        self.centres.copy_(topics(centred[torch.from_numpy(seen)], len(self.centres), rng))
        width = int(pairs.item.max(initial=0)) + 1
        had = np.unique(pairs.user.astype(np.int64) * width + pairs.item)
        user, count = np.unique(had // width, return_inverse=True, return_counts=True)[1:]
        several = count[user] > 1  # both moments are those of the same users, or W might be none
        if not several.any():
            raise _refusal(
                "users with at least two different items in the window fit",
                f"{len(count)} users with one each",
            )
        items, place = np.unique(had[several] % width, return_inverse=True)
        user = np.unique(user[several], return_inverse=True)[1]
        features = self.features(centred[torch.from_numpy(items)])
        share = torch.from_numpy(np.bincount(place) / len(place)).float().unsqueeze(1)
        self.offset.copy_((share * features).sum(0))
        between, total = agreement(features - self.offset, user, place)
        size = float(total.trace())
        found = agreed(between, total) if size > 0 else total.float()
        if float(found.norm()) * size**0.5 < LEAST:
            raise _refusal("users whose items are alike in some direction", "none")
        self.directions.copy_(found.T[: len(self.directions)])
        self.average.zero_()
        plain = self._leaning(features)[:, : len(self.average)]
        self.average.copy_(mean_user(plain, user, place))
        return mean_user(self._leaning(features), user, place)


def _refusal(expected: str, found: str) -> DataError:
    return DataError(
        "encoder.interest_topics",
        expected=expected,
        found=found,
        do="Set encoder.interest_topics=0, or give longer histories.",
    )


def topics(vectors: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Means of a clustering by cosine (spherical k-means), of length one: (count, dims).

    Parameters
    ----------
    vectors : Tensor, shape (texts, dims)
        Of length one. Where there are fewer than ``count``, some means are the same.
    count : int
    rng : Generator
        Draws the texts at which the means begin.
    """
    begin = rng.choice(len(vectors), count, replace=len(vectors) < count)
    centres = vectors[torch.from_numpy(begin)]
    for _ in range(PASSES):
        nearest = (vectors @ centres.T).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        filled = torch.bincount(nearest, minlength=count) > 0
        centres = torch.where(filled.unsqueeze(1), unit(sums), centres)
    return centres


def mean_user(vectors: Tensor, user: Array, place: Array) -> Tensor:
    """The mean over users of their vectors, which are the means of their items' vectors, of length one.

    Parameters
    ----------
    vectors : Tensor, shape (items, dims)
    user : int64 array, shape (pairs,)
        From 0, rising, each number there.
    place : int64 array, shape (pairs,)
        The pair's row of ``vectors``.
    """
    starts = torch.from_numpy(np.flatnonzero(np.diff(user, prepend=-1)))
    bags = nn.functional.embedding_bag(torch.from_numpy(place), vectors, starts, mode="mean")
    return unit(bags).mean(0)


def agreement(features: Tensor, user: Array, place: Array) -> tuple[Tensor, Tensor]:
    """How alike two different items of one user are, and how large items are: float64, (F, F) each.

    Parameters
    ----------
    features : Tensor, shape (items, F)
    user : int64 array, shape (pairs,)
        From 0, rising.
    place : int64 array, shape (pairs,)
        The pair's row of ``features``; another one in each pair of a user.

    Returns
    -------
    between : Tensor
        Mean of ``x y'`` over pairs of a user's items, a user of n items weighing n.
    total : Tensor
        Mean of ``x x'`` over all pairs.
    """
    count = np.bincount(user)
    weight = np.where(count > 1, 1.0 / np.maximum(count - 1, 1), 0.0)
    starts = np.concatenate(([0], np.cumsum(count)))
    size = features.shape[1]
    between = torch.zeros(size, size, dtype=torch.float64)
    first = 0
    while first < len(count):  # some users at a time
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + CHUNK, side="right")) - 1)
        part = slice(starts[first], starts[last])
        rows = features[torch.from_numpy(place[part])]
        sums = torch.zeros(last - first, size).index_add_(0, torch.from_numpy(user[part] - first), rows)
        between += (sums * torch.from_numpy(weight[first:last]).float().unsqueeze(1)).T @ sums
        first = last
    n = len(features)
    with_itself = torch.from_numpy(np.bincount(place, weight[user], n)).float().unsqueeze(1)
    taken = torch.from_numpy(np.bincount(place, minlength=n)).float().unsqueeze(1)
    between -= (with_itself * features).T @ features
    total = ((taken * features).T @ features).double() / len(user)
    return between / float(count[count > 1].sum()), total


def agreed(between: Tensor, total: Tensor) -> Tensor:
    """Directions that tell users apart, by the roots of their weights, strongest first: (F, F)."""
    size = len(total)
    within = total - between + RIDGE * total.trace() / size * torch.eye(size, dtype=total.dtype)
    half = torch.linalg.cholesky(within)
    inner = torch.linalg.solve_triangular(half, between, upper=False)
    inner = torch.linalg.solve_triangular(half, inner.T, upper=False)
    strength, ways = torch.linalg.eigh((inner + inner.T) / 2)
    ways = torch.linalg.solve_triangular(half.T, ways, upper=True)
    strength = strength.clamp(min=0.0)
    scaled = ways * (HISTORY * strength / (1 + (HISTORY + 1) * strength)).sqrt()
    strongest: Tensor = scaled.flip(1).float()
    return strongest
