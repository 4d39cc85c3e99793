"""SASRec: the next item by self-attention over the last ones, learned by a softmax over the catalogue.

Kang and McAuley, 2018, "Self-attentive sequential recommendation", with the full cross-entropy in place of
one sampled negative, which is what makes it strong (Klenitskiy and Vasilev, 2023, "Turning dross into gold
loss: is BERT4Rec really better than SASRec?").

Every sequence begins with a start of its own, so that the first item is learned as well. Sequences are
filled up at their end, where nothing can look: a position sees itself and what came before.
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from recsys.core.log import HISTORY, EventLog
from recsys.core.progress import track
from recsys.evaluation.baselines.config import SasrecConfig
from recsys.evaluation.baselines.learned import Model, told
from recsys.evaluation.baselines.rank import Array

TARGETS = HISTORY + 1  # of one piece: what follows a start, and each of the items that a request has
HELD_OUT = 0.1  # of the users, whose last item says when to stop
ROWS = 256  # sequences that are scored at once: attention takes room for each, however few items there are


class Sasrec(nn.Module):
    """Item vectors and a causal transformer over them; the same vectors score the next item."""

    def __init__(self, n_items: int, config: SasrecConfig) -> None:
        super().__init__()
        self.start = n_items  # the code of a sequence's beginning
        self.items = nn.Embedding(n_items + 1, config.dim)
        self.places = nn.Embedding(TARGETS, config.dim)
        for table in (self.items, self.places):
            nn.init.normal_(table.weight, std=0.02)
        self.drop = nn.Dropout(config.dropout)
        layer = nn.TransformerEncoderLayer(
            config.dim,
            config.heads,
            dim_feedforward=4 * config.dim,
            dropout=config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        norm = nn.LayerNorm(config.dim)
        self.blocks = nn.TransformerEncoder(layer, config.blocks, norm, enable_nested_tensor=False)

    def forward(self, codes: Tensor) -> Tensor:
        """What follows each position of sequences of codes (b, l): vectors (b, l, dim)."""
        length = codes.shape[1]
        ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
        given = self.drop(self.items(codes) + self.places.weight[:length])
        out: Tensor = self.blocks(given, mask=ahead, is_causal=True)
        return out

    def scores(self, states: Tensor) -> Tensor:
        """Scores of every item from vectors (n, dim): (n, items)."""
        return states @ self.items.weight[: self.start].T


def sequences(log: EventLog) -> list[Array]:
    """Each user's items, in order, for users with any; int64 each."""
    known = told(log)
    known = known[np.argsort(log.user[known], kind="stable")]
    parts = np.split(log.item[known].astype(np.int64), np.flatnonzero(np.diff(log.user[known])) + 1)
    return [part for part in parts if len(part)]


def pieces(items: Array) -> list[Array]:
    """A long sequence in pieces of at most `TARGETS`, the last one whole."""
    return [items[max(0, end - TARGETS) : end] for end in range(len(items), 0, -TARGETS)]


def _batch(parts: list[Array], start: int) -> tuple[Tensor, Tensor]:
    """Sequences as codes (b, l), each after a start, and their targets (b, l), -1 behind the end."""
    longest = max(map(len, parts))
    codes = np.full((len(parts), longest), start, np.int64)
    targets = np.full((len(parts), longest), -1, np.int64)
    for row, part in enumerate(parts):
        codes[row, 1 : len(part)] = part[:-1]
        targets[row, : len(part)] = part
    return torch.from_numpy(codes), torch.from_numpy(targets)


def _batches(parts: list[Array], n_targets: int, rng: np.random.Generator) -> Iterator[list[Array]]:
    """The sequences once, in random order, about ``n_targets`` items a batch."""
    order = rng.permutation(len(parts))
    begun = np.cumsum([0, *(len(parts[i]) for i in order)])[:-1] // n_targets
    for group in np.split(order, np.flatnonzero(np.diff(begun)) + 1):
        yield [parts[i] for i in group]


def _loss(model: Sasrec, parts: list[Array]) -> Tensor:
    codes, targets = _batch(parts, model.start)
    there = targets >= 0
    return cross_entropy(model.scores(model(codes)[there]), targets[there])


@torch.no_grad()
def _reciprocal_ranks(model: Sasrec, parts: list[Array], size: int = ROWS) -> float:
    """How high the last item of each sequence stands after those before it: the mean of 1 / rank."""
    found = []
    for begin in range(0, len(parts), size):
        block = parts[begin : begin + size]
        codes, targets = _batch(block, model.start)
        ends = torch.arange(len(block)), torch.tensor([len(part) - 1 for part in block])
        scores = model.scores(model(codes)[ends])
        found.append(1.0 / (scores >= scores.gather(1, targets[ends][:, None])).sum(dim=1))
    return float(torch.cat(found).mean())


def train(model: Sasrec, users: list[Array], config: SasrecConfig, seed: int) -> Sasrec:
    """Learn users' sequences, and keep the epoch in which held-out users' last items were told best."""
    rng = np.random.default_rng(seed)
    long = [i for i, items in enumerate(users) if len(items) > 1]
    held = set(rng.permutation(long)[: int(np.ceil(HELD_OUT * len(long)))].tolist())
    judged = [users[i][-TARGETS:] for i in sorted(held)]
    parts = [part for i, items in enumerate(users) for part in pieces(items[:-1] if i in held else items)]
    optimiser = torch.optim.Adam(model.parameters(), lr=config.lr)
    best, kept, since = -1.0, copy.deepcopy(model.state_dict()), 0
    for _ in track(range(config.max_epochs), "sasrec"):
        model.train()
        for batch in _batches(parts, config.batch_targets, rng):
            optimiser.zero_grad()
            _loss(model, batch).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        model.eval()
        now = _reciprocal_ranks(model, judged) if judged else best
        since = 0 if now >= best else since + 1
        if now >= best:  # of equal ones the later
            best, kept = now, copy.deepcopy(model.state_dict())
        if since == config.patience:
            break
    model.load_state_dict(kept)
    return model.eval()


def learn_sasrec(log: EventLog, n_items: int, config: SasrecConfig, seed: int) -> Model:
    """Scores of what comes next after the user's last items.

    Parameters
    ----------
    log : EventLog
        All of it teaches.
    n_items : int
    config : SasrecConfig
    seed : int
        Of the first weights, the order, dropout and who is held out: alike, runs are alike.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = train(Sasrec(n_items, config), sequences(log), config, seed).double()

    def score(users: Array, items: Array) -> Array:
        out = np.empty((len(items), n_items))
        for begin in range(0, len(items), ROWS):
            out[begin : begin + ROWS] = _next(model, items[begin : begin + ROWS])
        return out

    return score


@torch.no_grad()
def _next(model: Sasrec, items: Array) -> Array:
    """Scores of what follows last items (b, l), newest first: (b, items)."""
    lengths = (items >= 0).sum(axis=1)
    codes = np.full((len(items), TARGETS), model.start, np.int64)
    for row, newest_first in enumerate(items):
        codes[row, 1 : lengths[row] + 1] = newest_first[newest_first >= 0][::-1]
    states = model(torch.from_numpy(codes[:, : lengths.max() + 1]))
    found: Array = model.scores(states[torch.arange(len(items)), torch.from_numpy(lengths)]).numpy()
    return found
