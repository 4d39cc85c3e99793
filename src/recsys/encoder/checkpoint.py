"""A trained encoder as a folder that explains itself, and the way back into training."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from recsys.core.artefact import reading
from recsys.core.errors import BundleError
from recsys.encoder.module import EncoderModule
from recsys.encoder.pretrained import file_sha256

WEIGHTS = "weights.safetensors"
MANIFEST = "manifest.json"
FORMAT = 1
AGAIN = "Train the encoder again."


def save_weights(module: EncoderModule, folder: Path) -> None:
    """Write everything training changed; the pretrained model itself is named in the manifest."""
    save_file(module.trained_state(), str(folder / WEIGHTS), metadata={"format": str(FORMAT)})


def load_weights(module: EncoderModule, folder: Path) -> None:
    """Put the weights of a folder into a module, so that training goes on from there.

    Raises
    ------
    BundleError
        The folder is of another preset, size or version.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise BundleError(
            f"the encoder in {folder}",
            expected=f"a file {WEIGHTS}",
            found="none",
            do=AGAIN,
        )
    with reading(path, "weights in safetensors", AGAIN), safe_open(str(path), framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    wanted = {name: tuple(value.shape) for name, value in module.trained_state().items()}
    if shapes != wanted:
        odd = sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
        raise BundleError(
            f"the encoder in {folder}",
            expected="weights of this configuration (the same model, preset, sizes and history)",
            found=f"{len(odd)} tensors that differ, {odd[0]} first",
            do="Use the configuration it was trained with, or train afresh.",
        )
    module.load_state_dict(load_file(str(path)), strict=False)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``manifest.json`` with the sha256 of every other file of the folder; returns what was written."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != MANIFEST)
    whole = dict(manifest) | {"format": FORMAT, "sha256": {p.name: file_sha256(p) for p in files}}
    (folder / MANIFEST).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return whole
