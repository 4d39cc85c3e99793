"""The text tower distilled into a table: a vector a token, fitted so that their mean is the text's vector.

A table starts from what the encoder makes of each token alone (as model2vec does), frequent tokens
counting less (smooth inverse frequency: Arora, Liang and Ma 2017, "A simple but tough-to-beat baseline
for sentence embeddings"). The rest is ridge regression: rows move from there as far as the texts' own
vectors ask for, so a token that few texts hold stays near its start. How hard they are held is chosen on
texts kept out.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.core.token_mean import token_means
from recsys.encoder.tokens import Tokens, take

Array = NDArray[Any]
SMOOTH = 3e-3  # share of all tokens at which a token counts half
RIDGES = (0.3, 0.1, 0.03, 0.01, 0.003)  # from stiff to loose, so that each starts from the one before
STEPS = 8  # of conjugate gradients for one ridge, which starts near its solution
LAST_STEPS = 16
PASSES = 2 * (len(RIDGES) * STEPS + LAST_STEPS)  # at most, over the tokens' rows, in one fit
KEPT_OUT, MOST_KEPT_OUT = 0.1, 2000  # share and number of the texts


class StaticFit(NamedTuple):
    """A table and how near its vectors are to those that it was fitted to."""

    table: Array  # float32 (vocabulary, parts, dims)
    ridge: float
    cosine: Array  # float64 (parts,): mean on the texts kept out, before these taught too


@kernel
def _gather(ids: Array, offsets: Array, rows: Array, out: Array) -> None:
    """The mean of the rows of each text's tokens."""
    for i in range(out.shape[0]):
        n = offsets[i + 1] - offsets[i]
        share = np.float32(1.0) / np.float32(max(1, n))
        for t in range(offsets[i], offsets[i + 1]):
            for d in range(rows.shape[1]):
                out[i, d] += share * rows[ids[t], d]


@kernel
def _spread(ids: Array, offsets: Array, texts: Array, out: Array) -> None:
    """The transpose of `_gather`: each text gives its share to each of its tokens."""
    for i in range(texts.shape[0]):
        n = offsets[i + 1] - offsets[i]
        share = np.float32(1.0) / np.float32(max(1, n))
        for t in range(offsets[i], offsets[i + 1]):
            for d in range(out.shape[1]):
                out[ids[t], d] += share * texts[i, d]


def means(tokens: Tokens, rows: Array) -> Array:
    """The mean of the rows (vocabulary, dims) of each text's tokens: (texts, dims)."""
    out = np.zeros((len(tokens.offsets) - 1, rows.shape[1]), np.float32)
    _gather(tokens.ids, tokens.offsets, rows, out)
    return out


def _shares(tokens: Tokens, texts: Array, vocabulary: int) -> Array:
    out = np.zeros((vocabulary, texts.shape[1]), np.float32)
    _spread(tokens.ids, tokens.offsets, texts, out)
    return out


def ridge_step(tokens: Tokens, wanted: Array, start: Array, moved: Array, ridge: float, steps: int) -> Array:
    """Rows that solve ``min |wanted - means(start + moved)|^2 + ridge |moved|^2``, by conjugate gradients.

    Each dimension is a system of its own, with the same matrix.

    Parameters
    ----------
    tokens : Tokens
    wanted : float32 array, shape (texts, dims)
    start, moved : float32 arrays, shape (vocabulary, dims)
        Where rows are drawn to, and the way from there to begin with.
    ridge : float
    steps : int

    Returns
    -------
    float32 array, shape (vocabulary, dims)
        The new ``moved``.
    """

    def product(rows: Array) -> Array:
        return _shares(tokens, means(tokens, rows), len(start)) + np.float32(ridge) * rows

    residual = _shares(tokens, wanted - means(tokens, start), len(start)) - product(moved)
    moved, direction = moved.copy(), residual.copy()
    square = np.einsum("vd,vd->d", residual, residual)
    for _ in range(steps):
        image = product(direction)
        curve = np.einsum("vd,vd->d", direction, image)
        step = np.divide(square, curve, out=np.zeros_like(square), where=curve > 0)
        moved += step * direction
        residual -= step * image
        after = np.einsum("vd,vd->d", residual, residual)
        direction = (
            residual + np.divide(after, square, out=np.zeros_like(after), where=square > 0) * direction
        )
        square = after
    return moved


def vectors(table: Array, tokens: Tokens) -> Array:
    """What the table makes of some texts: float32, shape (texts, parts, dims)."""
    return token_means(table, tokens.ids, tokens.offsets[:-1], tokens.lengths())


def fit_table(tokens: Tokens, wanted: Array, singles: Array, seed: int) -> StaticFit:
    """A table whose means are nearest to the vectors of some texts.

    Parameters
    ----------
    tokens : Tokens
        Of the texts that teach.
    wanted : float32 array, shape (texts, parts, dims)
        Their vectors of one kind or several (raw and tuned), of length one.
    singles : float32 array, shape (vocabulary, parts, dims)
        The encoder's vectors of each token alone.
    seed : int
        Chooses the texts that are kept out to choose the ridge.

    Returns
    -------
    StaticFit
    """
    n, (vocabulary, parts, dims) = len(wanted), singles.shape
    target = np.ascontiguousarray(wanted.reshape(n, parts * dims), np.float32)
    share = np.bincount(tokens.ids, minlength=vocabulary) / max(1, len(tokens.ids))
    weight = (SMOOTH / (SMOOTH + share)).astype(np.float32)[:, None]
    start = singles.reshape(vocabulary, parts * dims)
    # texts are centred on their mean, so tokens are on theirs, as the texts hold them: a token alone is
    # far from any text, and all tokens alone are far from it in the same direction
    start = weight * (start - np.average(start, axis=0, weights=weight[:, 0] * share).astype(np.float32))
    used, place = np.unique(tokens.ids, return_inverse=True)
    tokens = Tokens(tokens.offsets, place.astype(np.int32))
    begun = means(tokens, start[used]).reshape(n, parts, dims)
    own = np.maximum(np.einsum("npd,npd->p", begun, begun), 1e-12)
    start *= np.repeat(np.einsum("npd,npd->p", begun, wanted) / own, dims).astype(np.float32)
    first = start[used]

    order = np.random.default_rng(seed).permutation(n)
    out, learn = np.split(order, [min(int(n * KEPT_OUT), MOST_KEPT_OUT)])
    held, taught = take(tokens, out), take(tokens, learn)
    moved = np.zeros_like(first)
    found = []
    for ridge in RIDGES:
        moved = ridge_step(taught, target[learn], first, moved, ridge, STEPS)
        near = vectors((first + moved).reshape(-1, parts, dims), held)
        cosine = np.einsum("npd,npd->p", near, wanted[out]) / max(1, len(out))
        found.append((float(cosine.mean()), ridge, cosine, moved))
        if len(found) > 1 and found[-1][0] < found[-2][0]:
            break
    _, ridge, cosine, moved = max(found, key=lambda one: one[0])
    start[used] += ridge_step(tokens, target, first, moved, ridge, LAST_STEPS)
    return StaticFit(start.reshape(singles.shape), ridge, cosine)
