"""A small language model made of some of a large one's layers, taught to give its vectors.

The layers kept are those whose vectors, untaught, stay nearest; they then learn on the catalogue's own
texts (embeddings rest) until the vectors are near. It takes the large model's place altogether.
"""

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recsys.core.artefact import reading
from recsys.core.errors import BundleError, ConfigError
from recsys.core.length_batches import length_batches
from recsys.core.progress import track
from recsys.encoder.config import EncoderConfig
from recsys.encoder.text_cache import TextCache
from recsys.encoder.text_tower import TextTower, keep_layers, layer_stack
from recsys.encoder.tokens import Tokens
from recsys.encoder.trainer_config import TrainerConfig
from recsys.encoder.user_tower import unit

WEIGHTS = "small.safetensors"
CHOSEN_BY = 48  # texts that the layers are chosen by: one choice encodes them some dozen times
STEP_TOKENS = 512  # of a step that teaches, padding included: many small steps, for there are few texts
WARM = 0.05  # share of the steps in which the rate rises: cut layers are far off, and their gradients large


def rate(share: float) -> float:
    """Of the full learning rate, after a share of the steps: it rises quickly and falls to a twentieth."""
    return min(1.0, share / WARM) * (1.0 - 0.95 * share)


def cut(model: nn.Module, kept: tuple[int, ...]) -> nn.Module:
    """A copy of a model that has some of its layers only; embeddings and layers are shared with it."""
    found = layer_stack(model)
    if found is None:
        raise ConfigError(
            "encoder.preset",
            expected="an encoder with a stack of layers",
            found=type(model).__name__,
            do="Set encoder.preset=adapter or static.",
        )
    parent, name, stack = found
    setattr(parent, name, nn.ModuleList(stack[i] for i in kept))
    small = copy.deepcopy(model, {id(p): p for p in model.parameters()})
    setattr(parent, name, stack)
    keep_layers(cast(Any, small).config, kept)
    return small


def centred_cosine(vectors: Tensor, wanted: Tensor, mean: Tensor) -> Tensor:
    """Mean cosine of vectors (texts, dims) with those wanted, both centred as item vectors are."""
    return (unit(unit(vectors) - mean) * unit(unit(wanted) - mean)).sum(-1).mean()


@torch.no_grad()
def choose_layers(tower: TextTower, tokens: Tokens, wanted: Tensor, n: int) -> tuple[int, ...]:
    """The layers to keep: one after another is left out, each time the one that is missed least.

    Parameters
    ----------
    tower : TextTower
        With the whole model.
    tokens : Tokens
    wanted : Tensor, shape (texts, dims)
        The whole model's pooled vectors of the same texts.
    n : int
        Layers to keep.

    Raises
    ------
    ConfigError
        The model has fewer.
    """
    if not 1 <= n < tower.depth:
        raise ConfigError(
            "encoder.layers",
            expected=f"1 to {tower.depth - 1}, fewer layers than this encoder's",
            found=str(n),
            do="Lower it, or set encoder.preset=adapter.",
        )
    sample = np.unique(np.linspace(0, len(wanted) - 1, CHOSEN_BY).astype(np.int64))
    mean = unit(wanted).mean(0)
    device = next(tower.parameters()).device
    inputs, mask = (part.to(device) for part in TextCache(tokens, tower.pad_id).padded(sample))
    near = wanted[torch.from_numpy(sample)]
    kept = tuple(range(tower.depth))
    whole = tower.base
    while len(kept) > n:
        scores = {}
        for out in kept:
            rest = tuple(i for i in kept if i != out)
            tower.base = cut(whole, rest)
            scores[rest] = float(centred_cosine(tower.lower(inputs, mask)[1].cpu(), near, mean))
        kept = max(scores, key=scores.__getitem__)
    tower.base = whole
    return kept


def replace_model(tower: TextTower, kept: tuple[int, ...]) -> None:
    """Let the tower's model have some of its layers only, with weights of their own."""
    tower.base = copy.deepcopy(cut(tower.base, kept))
    tower.depth, tower.kept = len(kept), kept


def _layers(tower: TextTower) -> nn.ModuleList:
    found = layer_stack(tower.base)
    assert found is not None, "a small model was cut from a stack"
    return found[2]


def teach(
    tower: TextTower, tokens: Tokens, wanted: Tensor, config: EncoderConfig, trainer: TrainerConfig
) -> list[float]:
    """Teach the tower's model the vectors of some texts, by their centred cosine; returns it pass by pass.

    Parameters
    ----------
    tower : TextTower
        Its model is changed in place.
    tokens : Tokens
    wanted : Tensor, shape (texts, dims)
    config : EncoderConfig
        Reads ``distil_passes`` and ``distil_lr``.
    trainer : TrainerConfig
        Reads ``weight_decay`` and ``seed``.
    """
    mean = unit(wanted).mean(0)
    device = next(tower.parameters()).device
    ids = TextCache(tokens, tower.pad_id)
    layers = _layers(tower).requires_grad_(True)
    optimizer = torch.optim.AdamW(layers.parameters(), weight_decay=trainer.weight_decay)
    rng = np.random.default_rng(trainer.seed)
    cosines = []
    for number in range(config.distil_passes):
        jitter = np.ceil(ids.lengths * rng.uniform(0.9, 1.1, len(ids.lengths)))  # other company in each pass
        batches = length_batches(jitter.astype(np.int64), STEP_TOKENS)
        seen = 0.0
        for step, batch in enumerate(track([batches[i] for i in rng.permutation(len(batches))], "distil")):
            share = (number + (step + 1) / len(batches)) / config.distil_passes
            optimizer.param_groups[0]["lr"] = config.distil_lr * rate(share)
            inputs, mask = ids.padded(batch)
            pooled = tower.lower(inputs.to(device), mask.to(device))[1]
            cosine = centred_cosine(pooled, wanted[torch.from_numpy(batch)].to(device), mean.to(device))
            optimizer.zero_grad()
            (1.0 - cosine).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
            optimizer.step()
            seen += float(cosine.detach()) * len(batch)
        cosines.append(seen / len(wanted))
    layers.requires_grad_(False)
    return cosines


def save(tower: TextTower, folder: Path) -> None:
    """Write the taught layers; which they are stands in the file's metadata."""
    state = {name: value.detach().cpu().contiguous() for name, value in _layers(tower).state_dict().items()}
    save_file(state, str(folder / WEIGHTS), metadata={"layers": " ".join(map(str, tower.kept))})


def restore(tower: TextTower, folder: Path) -> None:
    """Give the tower the small model of a trained encoder's folder.

    Raises
    ------
    BundleError
        The folder holds none, or one of another encoder.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise BundleError(
            f"the encoder in {folder}", expected=f"a file {WEIGHTS}", found="none", do="Train it afresh."
        )
    with reading(path, "layers of this encoder in safetensors", "Train the encoder afresh."):
        with safe_open(str(path), framework="pt") as file:
            kept = tuple(map(int, file.metadata()["layers"].split()))
        replace_model(tower, kept)
        _layers(tower).load_state_dict(load_file(str(path)))
