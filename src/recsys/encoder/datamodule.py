"""Seeded batches, of three kinds.

Pair epochs (vectors cached): random pairs; candidates are the pairs' items and a uniform draw from the
catalogue. Text epochs (the language model is trained): the catalogue is cut into random blocks, each
block is encoded once an epoch, and a step takes the pairs whose item lies in the block, with the block
as the candidates. A block is a uniform draw from the catalogue, so this is the usual sampled softmax,
but the costly part runs once an item and epoch instead of once an item and batch. List epochs (vectors
cached): random lists that were shown; the candidates of a list are its own items.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

from recsys.core.log import ListArrays, PairArrays
from recsys.encoder.batch import Histories, ListBatch, StepBatch, purchase_weight
from recsys.encoder.config import EncoderConfig
from recsys.encoder.lightning import pl
from recsys.encoder.losses.sampled_softmax import inclusion_log_q
from recsys.encoder.trainer_config import TrainerConfig

Array = NDArray[Any]


class Step(NamedTuple):
    """What a step is made of."""

    pairs: Array  # int64 indices of its pairs
    drawn: Array  # int64 item codes, candidates beside the pairs' own items


class PairData:
    """Builds the batch of a step from pairs, their histories and the known items."""

    def __init__(self, pairs: PairArrays, past: Histories, known: Array, config: EncoderConfig) -> None:
        self.pairs, self.past, self.known = pairs, past, known
        self.bought = purchase_weight(pairs)
        self.config = config
        size = int(max(known.max(initial=-1), past.items.max(initial=-1), pairs.item.max(initial=-1))) + 1
        counts = np.bincount(pairs.item, minlength=size)
        self.share = torch.from_numpy(counts / max(1, len(pairs.item)))
        self.slot = np.full(size + 1, -1, np.int64)  # scratch: place of an item in the step; last: none
        order = np.argsort(pairs.item, kind="stable")
        self.by_item = order
        self.item_starts = np.concatenate(([0], np.cumsum(counts)))

    def pairs_of(self, items: Array) -> Array:
        """The pairs whose target is one of some items, item by item."""
        parts = [self.by_item[self.item_starts[i] : self.item_starts[i + 1]] for i in items]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def batch(self, pairs: Array, drawn: Array, texts: bool) -> StepBatch:
        """The tensors of a step; ``drawn`` are candidates beside the pairs' own items."""
        fresh = self.config.history_vectors == "fresh" or (
            self.config.history_vectors == "auto" and not texts
        )
        targets, past = self.pairs.item[pairs].astype(np.int64), self.past.items[pairs].astype(np.int64)
        candidates = np.unique(np.concatenate((targets, drawn)))
        items = candidates
        if fresh:
            rest = np.setdiff1d(past[past >= 0], candidates)
            items = np.concatenate((candidates, rest))
        n = len(candidates)
        self.slot[items] = np.arange(len(items))
        place = self.slot[past]  # -1 takes the last element, which stays -1
        slots = np.where((place >= 0) & (place < n), place, n)
        target = self.slot[targets]
        self.slot[items] = -1
        if texts:  # a block is a uniform draw: the correction is the same for all and cancels
            log_q = torch.zeros(n)
        else:
            uniform = min(1.0, len(drawn) / max(1, len(self.known)))
            log_q = inclusion_log_q(self.share[torch.from_numpy(candidates)], len(pairs), uniform)
            log_q = self.config.log_q * log_q
        return StepBatch(
            items=torch.from_numpy(items),
            log_q=log_q,
            user=torch.from_numpy(self.pairs.user[pairs]),
            target=torch.from_numpy(target),
            history=torch.from_numpy(np.maximum(place if fresh else past, 0)),
            slots=torch.from_numpy(slots),
            kinds=torch.from_numpy(self.past.kinds[pairs].astype(np.int64)),
            gaps=torch.from_numpy(self.past.gaps[pairs].astype(np.int64)),
            real=torch.from_numpy(past >= 0),
            weight=torch.from_numpy(self.pairs.weight[pairs].astype(np.float32)),
            bought=torch.from_numpy(self.bought[pairs]),
            texts=texts,
            fresh=fresh,
        )


class ListData:
    """Builds the batch of a step from shown lists and their histories."""

    def __init__(self, lists: ListArrays, past: Histories) -> None:
        self.lists, self.past = lists, past
        self.bought = purchase_weight(lists)

    def __len__(self) -> int:
        return len(self.lists.user)

    def batch(self, index: Array) -> ListBatch:
        """The tensors of some lists, padded to the longest."""
        lists = self.lists
        sizes = np.diff(lists.offsets)[index]
        column = np.arange(int(sizes.max(initial=1)))
        shown = column[None, :] < sizes[:, None]
        row = np.where(shown, lists.offsets[index][:, None] + column, 0)
        item, past = lists.item[row].astype(np.int64), self.past.items[index].astype(np.int64)
        items = np.unique(np.concatenate((item[shown], past[past >= 0])))
        return ListBatch(
            items=torch.from_numpy(items),
            place=torch.from_numpy(np.searchsorted(items, np.where(shown, item, items[0]))),
            shown=torch.from_numpy(shown),
            weight=torch.from_numpy(np.where(shown, lists.weight[row], 0.0).astype(np.float32)),
            bought=torch.from_numpy(np.where(shown, self.bought[row], 0.0).astype(np.float32)),
            history=torch.from_numpy(np.searchsorted(items, np.where(past >= 0, past, items[0]))),
            kinds=torch.from_numpy(self.past.kinds[index].astype(np.int64)),
            gaps=torch.from_numpy(self.past.gaps[index].astype(np.int64)),
            real=torch.from_numpy(past >= 0),
        )


class ListSteps:
    """Random lists, each once an epoch."""

    def __init__(self, n_lists: int, size: int, seed: tuple[int, int]) -> None:
        self.n_lists, self.size, self.seed = n_lists, size, seed

    def __len__(self) -> int:
        return -(-self.n_lists // self.size)

    def __iter__(self) -> Iterator[Array]:
        order = np.random.default_rng(self.seed).permutation(self.n_lists)
        for start in range(0, self.n_lists, self.size):
            yield order[start : start + self.size]


class PairSteps:
    """Random pairs, each at most once an epoch, and uniform negatives."""

    def __init__(self, data: PairData, batch_size: int, seed: tuple[int, int]) -> None:
        self.data, self.batch_size, self.seed = data, batch_size, seed

    def __len__(self) -> int:
        return -(-self._pairs() // self.batch_size)

    def _pairs(self) -> int:
        """Pairs of an epoch."""
        there, most = len(self.data.pairs.item), self.data.config.pairs_per_epoch
        return min(there, most) if most else there

    def __iter__(self) -> Iterator[Step]:
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(len(self.data.pairs.item))[: self._pairs()]
        known, negatives = self.data.known, self.data.config.negatives
        for start in range(0, len(order), self.batch_size):
            drawn = known if negatives >= len(known) else rng.choice(known, negatives, replace=False)
            yield Step(order[start : start + self.batch_size], drawn)


class BlockSteps:
    """Random blocks of the catalogue, each known item once an epoch, and the pairs of each block."""

    def __init__(self, data: PairData, lengths: Array, seed: tuple[int, int]) -> None:
        self.data = data
        config = data.config
        rng = np.random.default_rng(seed)
        order = rng.permutation(data.known)
        block = np.cumsum(lengths[order]) // config.block_tokens
        blocks = np.split(order, np.flatnonzero(np.diff(block)) + 1)
        if config.blocks_per_epoch:
            blocks = blocks[: config.blocks_per_epoch]
        self.steps = []
        for items in blocks:
            pairs = data.pairs_of(items)
            if len(pairs) > config.block_pairs:
                pairs = rng.choice(pairs, config.block_pairs, replace=False)
            if len(pairs) and len(items) > 1:
                self.steps.append(Step(pairs, items.astype(np.int64)))

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)


class PairModule(pl.LightningDataModule):
    """Serves the steps of each epoch of a schedule; the same seed gives the same steps."""

    def __init__(
        self,
        data: PairData,
        lengths: Array,
        kinds: list[str],
        trainer: TrainerConfig,
        lists: ListData | None = None,
    ) -> None:
        super().__init__()
        self.data, self.lengths, self.kinds, self.settings = data, lengths, kinds, trainer
        self.lists = lists
        self.first = (0, 0)  # epoch, and its steps that are done already: their batches are not built

    def steps(self, epoch: int) -> PairSteps | BlockSteps | ListSteps:
        """The sampler of an epoch."""
        seed = (self.settings.seed % 2**32, epoch)
        if self.kinds[epoch] == "lists":
            assert self.lists is not None, "a schedule with lists needs them"
            return ListSteps(len(self.lists), self.data.config.list_batch, seed)
        if self.kinds[epoch] == "texts":
            return BlockSteps(self.data, self.lengths, seed)
        return PairSteps(self.data, self.settings.batch_size, seed)

    def total_steps(self) -> int:
        """Steps of the whole schedule."""
        return sum(len(self.steps(epoch)) for epoch in range(len(self.kinds)))

    def steps_before(self) -> int:
        """Steps before the first that is to be made."""
        return sum(len(self.steps(epoch)) for epoch in range(self.first[0])) + self.first[1]

    def batches(self, epoch: int) -> Iterator[StepBatch | ListBatch]:
        """The batches of an epoch, in the sampler's order."""
        steps = self.steps(epoch)
        done = self.first[1] if epoch == self.first[0] else 0
        if isinstance(steps, ListSteps):
            assert self.lists is not None
            yield from map(self.lists.batch, islice(steps, done, None))
        else:
            for pairs, drawn in islice(steps, done, None):
                yield self.data.batch(pairs, drawn, self.kinds[epoch] == "texts")

    def train_dataloader(self) -> DataLoader[StepBatch | ListBatch]:
        """The loader of the running epoch."""
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        batches: Any = _Batches(self, epoch)
        return DataLoader(batches, batch_size=None, shuffle=False, num_workers=0)


class _Batches(IterableDataset[StepBatch | ListBatch]):
    """The batches of an epoch as torch's loader takes them."""

    def __init__(self, data: PairModule, epoch: int) -> None:
        self.data, self.epoch = data, epoch

    def __iter__(self) -> Iterator[StepBatch | ListBatch]:
        return self.data.batches(self.epoch)
