"""Weights to a folder and back; folders of something else are named, not guessed at."""

import atexit
import functools
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from recsys.core.errors import BundleError
from recsys.encoder.checkpoint import (
    FORMAT,
    MANIFEST,
    PRETRAINED,
    WEIGHTS,
    check_start,
    load,
    load_config,
    load_weights,
    save_pretrained,
    save_weights,
    write_manifest,
)
from recsys.encoder.module import EncoderModule
from recsys.encoder.text_cache import TextCache
from recsys.encoder.text_tower import TextTower, load_model
from recsys.encoder.tokens import load_tokenizer, tokenize
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
    (tmp_path / "folder" / "c.bin").write_bytes(b"c")
    (tmp_path / MANIFEST).write_text("old")
    written = write_manifest(tmp_path, {"kind": "encoder", "name": "ü"})
    assert written == json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert written["format"] == FORMAT and written["kind"] == "encoder"
    assert written["sha256"] == {
        "a.bin": hashlib.sha256(b"abc").hexdigest(),
        "b.txt": hashlib.sha256(b"").hexdigest(),
        "folder/c.bin": hashlib.sha256(b"c").hexdigest(),
    }


def test_the_trained_folder_is_what_its_manifest_says(tmp_path: Path) -> None:
    world = toy()
    _, manifest = world.train(tmp_path, world.config(), world.trainer(max_epochs=1))
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert set(manifest["sha256"]) | {MANIFEST} == there
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    fresh = module()
    load_weights(fresh, tmp_path)
    assert torch.equal(fresh.head.mean, load_file(tmp_path / WEIGHTS)["head.mean"])


def test_junk_is_no_weights(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"junk" * 9)
    with pytest.raises(BundleError, match=rf"{WEIGHTS}: expected weights in safetensors; found .*Train the"):
        load_weights(module(), tmp_path)


@functools.cache
def trained(preset: str) -> Path:
    """A trained folder, moved away from where it was trained, its pretrained encoder gone."""
    scratch = Path(tempfile.mkdtemp(prefix="recsys-tests-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    world = toy()
    base = shutil.copytree(world.encoder, scratch / "base")
    config = world.config(preset=preset, name_or_path=str(base))
    world.train(scratch / "out", config, world.trainer(max_epochs=1))
    shutil.rmtree(base)
    return (scratch / "out").rename(scratch / "moved")


@pytest.mark.parametrize("preset", ["adapter", "top", "full"])
def test_a_folder_alone_gives_the_vectors_of_training(preset: str) -> None:
    folder, world = trained(preset), toy()
    module = load(folder)
    assert not module.training and module.config.preset == preset
    cache = TextCache(tokenize(load_tokenizer(folder), world.texts, 16), module.text.pad_id)
    with torch.no_grad():
        raw, tuned = module.text(*cache.padded(np.arange(len(world.texts))))
        found = module.head.raw(raw).numpy(), module.head(tuned).numpy()
    for name, vectors in zip(("raw", "tuned"), found, strict=True):
        np.testing.assert_allclose(vectors, np.load(folder / f"{name}.npy"), atol=2e-6)
    assert np.abs(found[0] - found[1]).max() > 0.01  # it did learn something


def test_training_goes_on_from_a_folder_alone(tmp_path: Path) -> None:
    folder, world = trained("top"), toy()
    config, trainer = load_config(folder)
    assert config == world.config(preset="top", name_or_path=str(folder / PRETRAINED))
    assert trainer == world.trainer(max_epochs=1)
    told = json.loads((folder / MANIFEST).read_text())
    result = world.train(tmp_path, config, trainer, start=folder)
    assert result.manifest["model_sha256"] == told["model_sha256"]
    assert result.history[0]["holdout/click_ndcg_at_10"] == pytest.approx(
        told["metrics"]["holdout/click_ndcg_at_10"], abs=1e-6
    )


@pytest.mark.parametrize("name", [WEIGHTS, f"{PRETRAINED}/model.safetensors"])
def test_files_of_two_trainings_are_not_mixed(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(trained("adapter"), tmp_path / "copy")
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(BundleError, match=rf"{name}: expected sha256 [0-9a-f]{{64}}; found [0-9a-f]{{64}}"):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: expected sha256 [0-9a-f]{{64}}; found no such file"):
        load(folder)


@pytest.mark.parametrize("name", ["small.safetensors", "ids.npz"])
def test_layers_and_ids_of_another_training_are_not_taken(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(trained("adapter"), tmp_path / "copy")
    told = json.loads((folder / MANIFEST).read_text())
    told["sha256"][name] = "0" * 64
    (folder / MANIFEST).write_text(json.dumps(told))
    (folder / name).write_bytes(b"of another")
    with pytest.raises(BundleError, match=rf"{name}: expected sha256 0{{64}}; found [0-9a-f]{{64}}"):
        load(folder)


def test_a_start_that_pools_otherwise_is_refused() -> None:
    folder = trained("adapter")
    told = json.loads((folder / MANIFEST).read_text())
    config = load_config(folder)[0]
    check_start(folder, config, told["model_sha256"], "mean")
    with pytest.raises(BundleError, match="expected pooling cls, as it is asked for here; found mean"):
        check_start(folder, config, told["model_sha256"], "cls")


def test_settings_of_another_version_are_named(tmp_path: Path) -> None:
    told = json.loads((trained("adapter") / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(told | {"config": {"colour": 1}}))
    with pytest.raises(BundleError, match="expected the settings of this version under 'config'.*colour"):
        load_config(tmp_path)


def test_the_pretrained_model_lies_beside_as_it_is_stored(tmp_path: Path) -> None:
    source = shutil.copytree(toy().encoder, tmp_path / "source")
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text("{}")
    (source / "pytorch_model.bin").write_bytes(b"the same weights, pickled")
    for _ in range(2):  # a second time it is replaced
        save_pretrained(source, module(), tmp_path)
    there = {
        path.relative_to(tmp_path / PRETRAINED).as_posix(): path
        for path in tmp_path.rglob(f"{PRETRAINED}/**/*")
    }
    files = {name for name, path in there.items() if path.is_file()}
    assert files == {"1_Pooling/config.json", "config.json", "model.safetensors", "tokenizer.json"}
    assert (tmp_path / PRETRAINED / "model.safetensors").samefile(source / "model.safetensors")
    save_pretrained(tmp_path / PRETRAINED, module(), tmp_path)  # onto itself
    assert (tmp_path / PRETRAINED / "model.safetensors").is_file()


def test_weights_that_are_not_in_safetensors_are_written_so(tmp_path: Path) -> None:
    source = shutil.copytree(toy().encoder, tmp_path / "source")
    (source / "model.safetensors").unlink()
    made = module()
    save_pretrained(source, made, tmp_path)
    again = load_model(tmp_path / PRETRAINED).state_dict()
    for name, value in made.text.base.state_dict().items():
        assert torch.equal(value, again[name]), name
