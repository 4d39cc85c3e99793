"""Weights to a folder and back; folders of something else are named, not guessed at."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recsys.core.errors import BundleError
from recsys.encoder.checkpoint import FORMAT, MANIFEST, WEIGHTS, load_weights, save_weights, write_manifest
from recsys.encoder.module import EncoderModule
from recsys.encoder.text_tower import TextTower
from tests.encoder.tiny import toy


def module(**changes: object) -> EncoderModule:
    world = toy()
    config = world.config(**changes)
    return EncoderModule(TextTower(world.encoder, config), config, world.trainer(), ["pairs"], 1)


def shaken(**changes: object) -> EncoderModule:
    made = module(**changes)
    torch.manual_seed(1)
    for parameter in made.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    made.head.mean.normal_()
    return made


@pytest.mark.parametrize("preset", ["adapter", "top", "full", "lora"])
def test_what_training_changed_survives_the_disk(preset: str, tmp_path: Path) -> None:
    first, second = shaken(preset=preset), module(preset=preset)
    save_weights(first, tmp_path)
    load_weights(second, tmp_path)
    one, other = first.trained_state(), second.trained_state()
    assert set(one) == set(other)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    assert torch.equal(first.head.mean, second.head.mean)


def test_the_pretrained_model_is_not_written(tmp_path: Path) -> None:
    sizes = {}
    for preset in ("adapter", "lora", "top", "full"):
        folder = tmp_path / preset
        folder.mkdir()
        save_weights(module(preset=preset), folder)
        names = set(load_file(folder / WEIGHTS))
        assert not [name for name in names if name.startswith("text.base.")]
        assert {"head.mean", "user.query", "user.prior"} <= names
        sizes[preset] = (folder / WEIGHTS).stat().st_size
    assert sizes["adapter"] < sizes["lora"] < sizes["top"] < sizes["full"]


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"adapter_size": 8}, "head.down.bias"),
        ({"queries": 3}, "user.down"),
        ({"history": 4}, "user.order_bias"),
    ],
)
def test_weights_of_other_sizes_are_refused_by_name(
    changes: dict[str, int], first: str, tmp_path: Path
) -> None:
    save_weights(module(), tmp_path)
    with pytest.raises(BundleError, match=rf"found \d+ tensors that differ, {first} first"):
        load_weights(module(**changes), tmp_path)


def test_a_refused_folder_changes_nothing(tmp_path: Path) -> None:
    save_weights(shaken(), tmp_path)
    other = module(preset="top")
    before = other.trained_state()
    with pytest.raises(BundleError, match="Use the configuration it was trained with, or train afresh"):
        load_weights(other, tmp_path)
    assert all(torch.equal(value, other.trained_state()[name]) for name, value in before.items())


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as error:
        load_weights(module(), tmp_path)
    assert str(error.value) == (
        f"the encoder in {tmp_path}: expected a file weights.safetensors; found none. "
        "Train the encoder again."
    )


def test_a_manifest_names_every_file_and_its_hash(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / MANIFEST).write_text("old")
    written = write_manifest(tmp_path, {"kind": "encoder", "name": "ü"})
    assert written == json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert written["format"] == FORMAT and written["kind"] == "encoder"
    assert written["sha256"] == {
        "a.bin": hashlib.sha256(b"abc").hexdigest(),
        "b.txt": hashlib.sha256(b"").hexdigest(),
    }


def test_the_trained_folder_is_what_its_manifest_says(tmp_path: Path) -> None:
    world = toy()
    _, manifest = world.train(tmp_path, world.config(), world.trainer(max_epochs=1))
    assert set(manifest["sha256"]) | {MANIFEST} == {path.name for path in tmp_path.iterdir()}
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    fresh = module()
    load_weights(fresh, tmp_path)
    assert torch.equal(fresh.head.mean, load_file(tmp_path / WEIGHTS)["head.mean"])


def test_junk_is_no_weights(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"junk" * 9)
    with pytest.raises(BundleError, match=rf"{WEIGHTS}: expected weights in safetensors; found .*Train the"):
        load_weights(module(), tmp_path)
