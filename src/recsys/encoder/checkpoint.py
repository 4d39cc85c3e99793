"""A trained encoder as a folder that explains itself, and the way back into training."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from recsys.core.artefact import reading
from recsys.core.errors import BundleError
from recsys.encoder.module import EncoderModule
from recsys.encoder.pretrained import file_sha256
from recsys.encoder.text_tower import TextTower

WEIGHTS = "weights.safetensors"
MANIFEST = "manifest.json"
FORMAT = 1
_BASE = "text.base."  # of the pretrained model, in the names of the weights
AGAIN = "Train the encoder again."


def save_weights(module: EncoderModule, folder: Path) -> None:
    """Write everything training changed; the pretrained model, where it stayed, is named in the manifest."""
    save_file(module.trained_state(), str(folder / WEIGHTS), metadata={"format": str(FORMAT)})


def load_weights(module: EncoderModule, folder: Path) -> None:
    """Put the weights of a folder into a module, so that training goes on from there.

    Raises
    ------
    BundleError
        The folder is of another preset, size or version.
    """
    _check(folder, _shapes(folder), module.trained_state())
    module.load_state_dict(load_file(str(folder / WEIGHTS)), strict=False)


def load_adapted(text: TextTower, folder: Path) -> None:
    """Put the language model of a folder into a tower, where it was adapted before it was trained.

    What training changed of it is not read here: that is for `load_weights`.

    Raises
    ------
    BundleError
        The folder holds no weights, or those of another language model.
    """
    shapes = {name: shape for name, shape in _shapes(folder).items() if name.startswith(_BASE)}
    if not shapes:
        return
    _check(folder, shapes, {_BASE + name: value for name, value in text.base.state_dict().items()})
    with safe_open(str(folder / WEIGHTS), framework="pt") as file:
        text.base.load_state_dict({name.removeprefix(_BASE): file.get_tensor(name) for name in shapes})
    text.adapted = True
    text.split()


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a folder's weights."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise BundleError(
            f"the encoder in {folder}",
            expected=f"a file {WEIGHTS}",
            found="none",
            do=AGAIN,
        )
    with reading(path, "weights in safetensors", AGAIN), safe_open(str(path), framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def _check(folder: Path, shapes: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor]) -> None:
    wanted = {name: tuple(value.shape) for name, value in state.items()}
    if shapes != wanted:
        odd = sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
        raise BundleError(
            f"the encoder in {folder}",
            expected="weights of this configuration (the same model, preset, sizes and history)",
            found=f"{len(odd)} tensors that differ, {odd[0]} first",
            do="Use the configuration it was trained with, or train afresh.",
        )


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``manifest.json`` with the sha256 of every other file of the folder; returns what was written."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != MANIFEST)
    whole = dict(manifest) | {"format": FORMAT, "sha256": {p.name: file_sha256(p) for p in files}}
    (folder / MANIFEST).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return whole
