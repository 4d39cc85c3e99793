"""The thin Lightning module: a step, its optimizer, and the epoch that did best on the hold-out."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys.core.errors import DataError
from recsys.core.length_batches import length_batches
from recsys.encoder.batch import ListBatch, StepBatch
from recsys.encoder.config import EncoderConfig
from recsys.encoder.equal_length import pass_tokens
from recsys.encoder.grad_cache import encode_twice
from recsys.encoder.holdout import Holdout, ListHoldout
from recsys.encoder.id_tower import IdTower
from recsys.encoder.interests import Interests
from recsys.encoder.judged import Judged
from recsys.encoder.losses.bce import one_negative_bce
from recsys.encoder.losses.full_softmax import full_softmax
from recsys.encoder.losses.listwise import listwise_softmax
from recsys.encoder.losses.sampled_softmax import sampled_softmax
from recsys.encoder.table_optimizer import TableAdamW, clip_dense, parameter_groups
from recsys.encoder.text_cache import TextCache
from recsys.encoder.text_tower import TextTower
from recsys.encoder.trainer_config import TrainerConfig
from recsys.encoder.user_tower import ItemHead, UserTower

Array = NDArray[Any]


class EncoderModule(Judged):
    """Item vectors from texts, user vectors from histories, one softmax loss a head.

    Parameters
    ----------
    text : TextTower
    config : EncoderConfig
    trainer : TrainerConfig
    kinds : list of str
        The kind of each epoch, "pairs", "texts" or "lists".
    total_steps : int
        For the decay of the learning rates.
    ids : IdTower, optional
    """

    bank: Tensor
    known: Tensor

    def __init__(
        self,
        text: TextTower,
        config: EncoderConfig,
        trainer: TrainerConfig,
        kinds: list[str],
        total_steps: int,
        ids: IdTower | None = None,
    ) -> None:
        super().__init__()
        self.text, self.config, self.settings, self.kinds = text, config, trainer, kinds
        self.total_steps = max(1, total_steps)
        topics = config.interest_topics
        interests = Interests(text.dims, topics) if topics else None
        self.head = ItemHead(text.dims, config.adapter_size, interests)
        self.user = UserTower(text.dims, config)
        self.ids = ids
        self.register_buffer("bank", torch.zeros(0, text.dims), persistent=False)
        self.register_buffer("known", torch.zeros(0, dtype=torch.bool), persistent=False)
        self.cache: TextCache | None = None
        self.holdout: Holdout | None = None
        self.lists: ListHoldout | None = None
        self.rows: list[dict[str, Any]] = []
        self._losses: list[float] = []
        self._started = time.monotonic()
        self._best: tuple[float, dict[str, Tensor]] | None = None
        self._worse = 0
        self._stale = torch.zeros(0, text.dims)
        self.origin: dict[str, Tensor] = {}
        self._resumed = False

    def prepare(
        self,
        bank: Tensor,
        cache: TextCache,
        known: Array,
        holdout: Holdout | None,
        lists: ListHoldout | None = None,
    ) -> None:
        """Give the module the catalogue: pooled vectors, what the top layers read, the items for the mean."""
        self.bank, self.cache, self.holdout, self.lists = bank, cache, holdout, lists
        self.known = torch.zeros(len(bank), dtype=torch.bool)
        self.known[torch.from_numpy(np.asarray(known, np.int64))] = True
        self.head.fit_mean(bank[torch.from_numpy(np.asarray(known, np.int64))])

    # ---- vectors
    def encode_texts(self, items: Array) -> Tensor:
        """Pooled trained vectors of distinct items, in batches of like length, in the order of ``items``."""
        assert self.cache is not None
        chunk = self.config.grad_cache_tokens if torch.is_grad_enabled() else 0
        budget = chunk or pass_tokens(self.config, self.device.type)
        parts, order = [], []
        for batch in length_batches(self.cache.lengths[items], budget):
            some = items[batch]
            parts.append(encode_twice(self._upper, some) if chunk else self._upper(some))
            order.append(batch)
        back = torch.from_numpy(np.argsort(np.concatenate(order))).to(self.device)
        return torch.cat(parts)[back]

    def _upper(self, items: Array) -> Tensor:
        assert self.cache is not None
        inputs, mask = self.cache.padded(items)
        return self.text.upper(inputs.to(self.device), mask.to(self.device))

    def item_vectors(self, pooled: Tensor, items: Tensor | None = None, step: bool = False) -> Tensor:
        """Vectors of some items (by default of all) from pooled ones; a training step drops some id parts."""
        return self.with_ids(self.head(pooled), items, step)

    def with_ids(self, text: Tensor, items: Tensor | None = None, step: bool = False) -> Tensor:
        """Vectors of some items (by default of all) from those of their texts: the id part added, if any."""
        if self.ids is None:
            return text
        vectors: Tensor = self.ids(text, items, (self.current_epoch, self.steps_done) if step else None)
        return vectors

    @torch.no_grad()
    def refresh(self) -> None:
        """Encode the whole catalogue with the layers as they stand."""
        if self.text.top is not None and self.cache is not None:
            self.bank = self.encode_texts(np.arange(len(self.cache.lengths)))

    # ---- one step
    def user_vectors(self, batch: StepBatch, encoded: Tensor) -> Tensor:
        """User vectors of a batch: (pairs, heads, dims)."""
        table = encoded if batch.fresh else self._stale
        past = torch.nn.functional.embedding(batch.history, table)
        users: Tensor = self.user(past, batch.kinds, batch.gaps, batch.real)
        return users

    def loss(self, batch: StepBatch | ListBatch) -> Tensor:
        """The weighted sum of the heads' losses."""
        return self._list_loss(batch) if isinstance(batch, ListBatch) else self._pair_loss(batch)

    def _heads(self, batch: StepBatch | ListBatch) -> Iterator[tuple[int, Tensor, float]]:
        """Each head that learns from a batch: its number, its targets' weights, its share of the loss."""
        shares = (1.0, self.config.purchase_loss)
        for h, (weight, share) in enumerate(zip((batch.weight, batch.bought), shares, strict=True)):
            if share > 0 and bool((weight > 0).any()):
                yield h, weight, share

    def _list_loss(self, batch: ListBatch) -> Tensor:
        encoded = self.item_vectors(self.bank[batch.items], batch.items, step=True)
        look_up = torch.nn.functional.embedding
        users = self.user(look_up(batch.history, encoded), batch.kinds, batch.gaps, batch.real)
        shown, scale = look_up(batch.place, encoded), self.user.scale()
        total: Tensor = encoded.new_zeros(())
        for h, weight, share in self._heads(batch):
            logits = scale[h] * torch.einsum("bwd,bd->bw", shown, users[:, h])
            total = total + share * listwise_softmax(logits, weight, batch.shown)
        return total

    def _pair_loss(self, batch: StepBatch) -> Tensor:
        if batch.texts:
            pooled = self.encode_texts(batch.items.cpu().numpy())
            self.bank[batch.items] = pooled.detach()
        else:
            pooled = self.bank[batch.items]
        encoded = self.item_vectors(pooled, batch.items, step=True)
        users = self.user_vectors(batch, encoded)
        whole = self.config.loss == "full_softmax"
        masked = self._no_negatives(batch, whole) if self.config.mask_history or whole else None
        scale = self.user.scale()
        total: Tensor = encoded.new_zeros(())
        for h, weight, share in self._heads(batch):
            use = torch.nonzero(weight > 0).squeeze(1)
            mask = None if masked is None else masked[use]
            one = self._head_loss(batch, encoded, scale[h] * users[use, h], use, weight[use], mask)
            total = total + share * one
        return total

    def _head_loss(
        self,
        batch: StepBatch,
        encoded: Tensor,
        users: Tensor,
        use: Tensor,
        weight: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """The loss of one head on the pairs that it learns from, as ``config.loss`` names it."""
        if self.config.loss == "full_softmax":
            target = batch.items[batch.target[use]]
            return full_softmax(users, self._stale, batch.items, encoded, target, weight, mask)
        n = len(batch.log_q)
        logits, target = users @ encoded[:n].T, batch.target[use]
        if self.config.loss == "bce":
            return one_negative_bce(logits, target, weight, mask)
        return sampled_softmax(logits, target, batch.log_q, weight, mask)

    def _no_negatives(self, batch: StepBatch, whole: bool) -> Tensor:
        """What a pair does not take as negatives: what its user had before or takes in this very step.

        Of the whole catalogue, unknown items as well.
        """
        n = len(self._stale) if whole else len(batch.log_q)
        slots = batch.slots
        if whole:
            codes = batch.items[batch.history] if batch.fresh else batch.history
            slots = torch.where(batch.real, codes, n)
        masked = torch.zeros(len(batch.target), n + 1, dtype=torch.bool, device=slots.device)
        if self.config.mask_history:
            masked = masked.scatter_(1, slots, True)
            pair, other = torch.nonzero(batch.user[:, None] == batch.user, as_tuple=True)
            target = batch.items[batch.target] if whole else batch.target
            masked[pair, target[other]] = True  # the pair's own target too, which losses never mask
        masked = masked[:, :n]
        return masked | ~self.known if whole else masked

    def training_step(self, batch: StepBatch | ListBatch, batch_index: int) -> Tensor:
        """The loss of a step; stops with a clear message where it is no number."""
        loss = self.loss(batch)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise DataError(
                f"the training loss at epoch {self.current_epoch}, step {self.steps_done}",
                expected="a finite number",
                found=str(value),
                do="Lower trainer.lr and trainer.text_lr, and check the weights of the pairs.",
            )
        self._losses.append(value)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW, the language model's layers at their own rate, both falling linearly to a tenth."""
        groups = parameter_groups((self.head, self.user), self.text, self.ids, self.settings)
        optimizer = TableAdamW(groups, weight_decay=self.settings.weight_decay)
        decay = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 1.0 - 0.9 * min(1.0, step / self.total_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": decay, "interval": "step"}}

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        """Clip the norm of all gradients but those of id tables, whose rule does not feel their size."""
        clip_dense(optimizer, gradient_clip_val)

    # ---- epochs
    def on_train_start(self) -> None:
        """The pretrained geometry is the first candidate for the best epoch."""
        if not self.rows:
            self._close_epoch(-1, "start", float("nan"))

    def on_train_epoch_start(self) -> None:
        """Vectors of the histories as they stand, for steps that do not encode them."""
        if self._resumed:  # inside this epoch: what it began with is there
            self._resumed, self._stale = False, self._stale.to(self.device)
            return
        self._losses = []
        self._started = time.monotonic()
        with torch.no_grad():
            self._stale = self.item_vectors(self.bank)

    def on_train_epoch_end(self) -> None:
        """Measure the hold-out, remember the best, stop when it no longer improves."""
        kind = self.kinds[self.current_epoch]
        if kind == "texts":
            self.refresh()
        loss = float(np.mean(self._losses)) if self._losses else float("nan")
        self._close_epoch(self.current_epoch, kind, loss)
        worse = self._worse
        main = next(one for one in ("lists", "texts", "pairs") if one in self.kinds)
        # what comes before it may lose against the start: it must not end what it prepares
        worse = min(worse, self.kinds[: self.current_epoch + 1].count(main))
        if self.settings.patience and worse >= self.settings.patience:
            self.trainer.should_stop = True
