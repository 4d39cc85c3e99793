"""A trained encoder as a folder that explains itself, and the way back into training.

What training changed stands in ``weights.safetensors``; the model that it began with stands unchanged in
``pretrained/`` (hard links where the disk allows), so that nothing beside the folder is needed to go on.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from recsys.core.artefact import file_sha256, link_or_copy, read_archive, read_json, reading, require
from recsys.core.errors import BundleError
from recsys.encoder import small
from recsys.encoder.config import EncoderConfig, read_settings, schedule
from recsys.encoder.id_tower import IdTower
from recsys.encoder.module import EncoderModule
from recsys.encoder.pretrained import model_parts
from recsys.encoder.text_tower import TextTower, load_model
from recsys.encoder.trainer_config import TrainerConfig

WEIGHTS = "weights.safetensors"
MANIFEST = "manifest.json"
IDS = "ids.npz"
PRETRAINED = "pretrained"
SLICES = "slices"  # encoders at the boundaries of a chain, each with a manifest of its own
MODEL_FILES = (".json", ".txt", ".model", ".safetensors")  # of a model's folder: weights, config, tokenizer
FORMAT = 1
_BASE = "text.base."  # of the pretrained model, in the names of the weights
AGAIN = "Train the encoder again."


def save_weights(module: EncoderModule, folder: Path) -> None:
    """Write everything training changed."""
    save_file(module.trained_state(), str(folder / WEIGHTS), metadata={"format": str(FORMAT)})


def save_pretrained(source: Path, module: EncoderModule, folder: Path) -> None:
    """Put the pretrained model, its config and its tokenizer beside what was trained, as they are stored.

    Parameters
    ----------
    source : Path
        The pretrained encoder's folder.
    module : EncoderModule
        Writes the weights itself where the folder holds none in safetensors.
    folder : Path
        Of the trained encoder.
    """
    target = folder / PRETRAINED
    if source.resolve() == target.resolve():  # training goes on in its own folder
        return
    shutil.rmtree(target, ignore_errors=True)
    for part in model_parts(source):
        place = target / part.relative_to(source)
        place.mkdir(parents=True)
        for file in sorted(part.iterdir()):
            if file.is_file() and file.suffix in MODEL_FILES:
                link_or_copy(file.resolve(), place / file.name)
    if not any(target.glob("*.safetensors")):
        base: Any = load_model(source) if module.text.kept else module.text.base
        base.save_pretrained(str(target))


def load_config(folder: Path) -> tuple[EncoderConfig, TrainerConfig]:
    """What an encoder was trained with, the pretrained model that lies in its folder named by its path.

    ``train_encoder(..., *load_config(folder), start=folder)`` goes on from the folder alone.

    Raises
    ------
    BundleError
        The manifest is missing, or of another version of the settings.
    """
    path = folder / MANIFEST
    manifest = read_json(path, AGAIN)
    require(manifest, path, {"config": dict, "trainer": dict, "sha256": dict}, AGAIN)
    with reading(path, "the settings of this version under 'config' and 'trainer'", AGAIN):
        config = read_settings(manifest["config"])
        trainer = TrainerConfig(**manifest["trainer"])
    return replace(config, name_or_path=str(folder / PRETRAINED)), trainer


def load(folder: Path) -> EncoderModule:
    """The trained towers of a folder, which is all that is needed.

    Parameters
    ----------
    folder : Path
        As `recsys.encoder.train.train_encoder` wrote it.

    Returns
    -------
    EncoderModule
        On the CPU. ``module.text(ids, mask)`` gives pooled vectors, ``module.head`` makes item vectors of
        them, ``module.user`` user vectors.

    Raises
    ------
    BundleError
        A file is missing, damaged, or not the one that was written.
    """
    config, trainer = load_config(folder)
    _check_files(folder)
    with reading(folder / PRETRAINED, "the pretrained encoder", AGAIN):
        text = TextTower(folder / PRETRAINED, config)
    if config.preset == "small":
        small.restore(text, folder)
    load_adapted(text, folder)
    ids = _load_ids(folder, config, text.dims)
    module = EncoderModule(text, config, trainer, schedule(config, trainer), total_steps=1, ids=ids)
    load_weights(module, folder)
    return module.eval()


def _load_ids(folder: Path, config: EncoderConfig, dims: int) -> IdTower | None:
    """The id part of a folder, without the items of the catalogue that it was trained on."""
    if config.ids.kind == "none":
        return None
    told = read_json(folder / MANIFEST, AGAIN)
    require(told, folder / MANIFEST, {"ids": dict}, AGAIN)
    columns = list(told["ids"]["columns"])
    tower = IdTower(config.ids, dict.fromkeys(columns, ()), np.empty(0, np.int64), dims, seed=0)
    arrays = read_archive(folder / IDS, [f"keys/{column}" for column in columns], AGAIN)
    tower.seen = {column: arrays[f"keys/{column}"] for column in columns}
    return tower


def _check_files(folder: Path) -> None:
    """Weights of two trainings side by side would load, and mean nothing."""
    told: Mapping[str, str] = read_json(folder / MANIFEST, AGAIN)["sha256"]
    for name in told:
        if name in (WEIGHTS, small.WEIGHTS, IDS) or name.startswith(f"{PRETRAINED}/"):
            path = folder / name
            found = file_sha256(path) if path.is_file() else "no such file"
            if found != told[name]:
                raise BundleError(str(path), expected=f"sha256 {told[name]}", found=found, do=AGAIN)


def check_start(folder: Path, config: EncoderConfig, model_sha256: str | None, pooling: str) -> None:
    """Refuse to go on from an encoder of another preset, depth, pooling, model or id length: shapes may fit.

    Raises
    ------
    BundleError
        The folder has no manifest, or one that differs.
    """
    told = read_json(folder / MANIFEST, AGAIN)
    require(told, folder / MANIFEST, {"config": dict}, AGAIN)
    here = {"preset": config.preset, "layers": config.layers, "model_sha256": model_sha256}
    there = {name: told["config"].get(name, told.get(name)) for name in here}
    here["pooling"], there["pooling"] = pooling, told.get("pooling")
    if config.ids.kind != "none":
        here["ids.length"], there["ids.length"] = (
            config.ids.length,
            told["config"].get("ids", {}).get("length"),
        )
    odd = [name for name in here if here[name] != there[name]]
    if odd:
        raise BundleError(
            f"the encoder in {folder}",
            expected=f"{odd[0]} {here[odd[0]]}, as it is asked for here",
            found=str(there[odd[0]]),
            do="Use the configuration it was trained with, or train afresh.",
        )


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
    """Write ``manifest.json`` with the sha256 of every other file; returns what was written."""
    names = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    files = {name: p for name, p in names.items() if name != MANIFEST and not name.startswith(f"{SLICES}/")}
    hashes = {name: file_sha256(path) for name, path in files.items()}
    whole = dict(manifest) | {"format": FORMAT, "sha256": hashes}
    (folder / MANIFEST).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return whole
