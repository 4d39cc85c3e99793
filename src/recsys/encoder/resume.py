"""A training that is killed goes on where it was: its state, written every so often and taken up again.

One safetensors file, its plain values as JSON in the header, renamed into place: it is whole or not there.
It is named by a hash of everything that the steps depend on, so that no other training takes it for its own.
A state is taken before a step, with the random state that this step draws from; what follows is then what
an unbroken training does, to the bit.
"""

import dataclasses
import hashlib
import json
import logging
import time
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from recsys.core.artefact import reading, require
from recsys.core.errors import BundleError
from recsys.encoder.config import EncoderConfig
from recsys.encoder.datamodule import PairModule
from recsys.encoder.lightning import pl
from recsys.encoder.module import EncoderModule
from recsys.encoder.trainer_config import TrainerConfig

LOG = logging.getLogger(__name__)
FORMAT = 1
SHARE = 0.02  # the most of the time that saving may take
AFRESH = "The training begins afresh."
_FACTS = {"key": str, "crc": int, "epoch": int, "step": int, "spent": float, "module": dict, "groups": list}
_NOT_DECISIVE = (
    "name_or_path", "slices", "export", "threads", "accelerator", "limit_minutes", "save_every_s"
)  # fmt: skip


class State(NamedTuple):
    """What a file holds: tensors by name, and plain values (`_FACTS`)."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def training_key(
    config: EncoderConfig,
    trainer: TrainerConfig,
    weights: Mapping[str, Tensor],
    arrays: Iterable[NDArray[Any]],
) -> str:
    """The hash (hex) of all that decides a training.

    Parameters
    ----------
    config, trainer
        Settings; those that change no step do not count.
    weights : mapping
        Of the module before the first step, the pretrained model among them.
    arrays : iterable of array
        Tokens, pairs, lists, log: whatever batches are built from.
    """
    total = hashlib.blake2b(digest_size=32)
    settings = [
        {k: v for k, v in dataclasses.asdict(part).items() if k not in _NOT_DECISIVE}
        for part in (config, trainer)
    ]
    total.update(json.dumps([FORMAT, settings], sort_keys=True).encode())
    named = {name: value.detach().cpu().numpy() for name, value in sorted(weights.items())}
    for name, array in [*named.items(), *(("", array) for array in arrays)]:
        total.update(f"{name} {array.dtype} {array.shape}\0".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


class Keeper(pl.Callback):
    """Saves the state of a training as it runs, and takes up what a killed one has left.

    Parameters
    ----------
    folder : Path
        Where the file lies; it must outlive the process, and nothing else belongs there.
    key : str
        As `training_key` gives it.
    every_s : float
        Seconds between two states; 0: one before each step.
    """

    def __init__(self, folder: Path, key: str, every_s: float) -> None:
        self.folder, self.key, self.every_s = folder, key, every_s
        self.path = folder / f"{key[:16]}.safetensors"
        self.earlier = 0.0  # seconds that were trained before this process
        self._state: State | None = None
        self._began = self._saved = time.monotonic()
        self._cost = 0.0

    def take_up(self, module: EncoderModule, data: PairModule) -> int:
        """Put a state that is there into module and steps; the epoch to go on in.

        A damaged file, or one of another training, is named in the log and left out of account.
        """
        state = self._read()
        if state is None:
            return 0
        facts = state.facts
        module.go_on(_part(state.tensors, "module."), facts["module"])
        data.first = (facts["epoch"], facts["step"])
        self._state, self.earlier = state, facts["spent"]
        LOG.info("The training goes on in epoch %d after %d steps.", facts["epoch"] + 1, facts["step"])
        return int(facts["epoch"])

    def remove(self) -> None:
        """The training is done: nothing is left of its state."""
        for path in (self.path, _partial(self.path)):
            path.unlink(missing_ok=True)
        remove_empty(self.folder)

    def spent(self) -> float:
        """Seconds of training, those before a kill included."""
        return self.earlier + time.monotonic() - self._began

    # ---- Lightning calls these
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The clock of saving starts."""
        self._began = self._saved = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Before a step: give back what was left, or save where it is time to."""
        if self._state is not None:
            _give_back(self._state, trainer)
            self._state = None
            return
        waited = time.monotonic() - self._saved
        if waited >= self.every_s and (not self.every_s or waited * SHARE >= self._cost):
            assert isinstance(pl_module, EncoderModule)
            self._save(trainer, pl_module)

    # ---- the file
    def _save(self, trainer: pl.Trainer, module: EncoderModule) -> None:
        start = time.monotonic()
        tensors, plain = module.progress()
        tensors = {f"module.{name}": value for name, value in tensors.items()}
        told = trainer.optimizers[0].state_dict()
        for index, values in told["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        tensors["random"] = torch.get_rng_state()
        if module.device.type == "cuda":
            tensors["random_cuda"] = torch.cuda.get_rng_state(module.device)
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        facts = {
            "key": self.key,
            "crc": _crc(tensors),
            "epoch": trainer.current_epoch,
            "step": module.steps_done,
            "spent": self.spent(),
            "module": plain,
            "groups": told["param_groups"],
            "decay": trainer.lr_scheduler_configs[0].scheduler.state_dict(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, str(_partial(self.path)), metadata={"state": json.dumps(facts)})
        _partial(self.path).replace(self.path)
        self._saved = time.monotonic()
        self._cost = self._saved - start

    def _read(self) -> State | None:
        others = sorted(p.name for p in self.folder.glob("*.safetensors") if p != self.path)
        if others and not self.path.is_file():
            LOG.warning("%s holds the state of another training (%s). %s", self.folder, others[0], AFRESH)
        if not self.path.is_file():
            return None
        try:
            return _load(self.path, self.key)
        except BundleError as error:
            LOG.warning("%s", error)
            return None


def remove_empty(folder: Path) -> None:
    """Remove a folder that holds nothing."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _load(path: Path, key: str) -> State:
    with reading(path, "the state of a training in safetensors", AFRESH):
        with safe_open(str(path), framework="pt") as file:
            facts = json.loads((file.metadata() or {})["state"])
        require(facts, path, _FACTS, AFRESH)
        tensors = load_file(str(path))
    if facts["key"] != key:
        raise BundleError(
            str(path), expected="the state of this training", found="that of another", do=AFRESH
        )
    if facts["crc"] != _crc(tensors):
        raise BundleError(
            str(path), expected="the numbers that were written", found="others: it is damaged", do=AFRESH
        )
    return State(tensors, facts)


def _give_back(state: State, trainer: pl.Trainer) -> None:
    """Optimizer, decay and random state, as they were before the step that comes now."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(state.tensors, "optimizer.").items():
        index, _, key = name.partition(".")
        moments.setdefault(int(index), {})[key] = value
    trainer.optimizers[0].load_state_dict({"state": moments, "param_groups": state.facts["groups"]})
    trainer.lr_scheduler_configs[0].scheduler.load_state_dict(state.facts["decay"])
    torch.set_rng_state(state.tensors["random"])
    if "random_cuda" in state.tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(state.tensors["random_cuda"])


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _partial(path: Path) -> Path:
    return path.with_name(f".tmp-{path.name}")


def _crc(tensors: Mapping[str, Tensor]) -> int:
    """A checksum over all numbers: safetensors itself would read flipped bits as numbers."""
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].numpy().tobytes(), zlib.crc32(name.encode(), total))
    return total
