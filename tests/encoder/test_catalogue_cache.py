"""No text through the pretrained model twice, whatever run asks; and the very bits of the first time."""

import logging
import multiprocessing
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.core.errors import ConfigError
from recsys.encoder import catalogue_cache
from recsys.encoder.cache_folder import alone, keep_newest, put, size_of
from recsys.encoder.catalogue_cache import Reuse, encode_once, model_key, token_keys
from recsys.encoder.text_cache import TextCache, encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import Tokens, load_tokenizer, tokenize
from tests.encoder.tiny import toy

CPU = torch.device("cpu")


def tower(**changes: Any) -> TextTower:
    return TextTower(toy().encoder, toy().config(**({"preset": "top"} | changes)))


def tokens(texts: list[str]) -> Tokens:
    return tokenize(load_tokenizer(toy().encoder), texts, 16)


def encoded(texts: list[str], folder: Path | None, **changes: Any) -> tuple[Tensor, TextCache, Reuse]:
    changes = {"preset": "top"} | changes
    return encode_once(tower(**changes), tokens(texts), toy().config(**changes), CPU, folder)


def same(one: tuple[Tensor, TextCache, Reuse], other: tuple[Tensor, TextCache, Reuse]) -> bool:
    items = np.arange(len(one[0]))
    inputs = (a == b for a, b in zip(one[1].padded(items), other[1].padded(items), strict=True))
    return torch.equal(one[0], other[0]) and all(bool(x.all()) for x in inputs)


@pytest.mark.parametrize("preset", ["adapter", "top", "full"])
def test_the_first_run_has_the_bits_of_no_cache_and_the_second_encodes_nothing(
    preset: str, tmp_path: Path
) -> None:
    texts = toy().texts
    plain, first, second = (encoded(texts, x, preset=preset) for x in (None, tmp_path, tmp_path))
    raw, cache = encode_lower(tower(preset=preset), tokens(texts), toy().config(preset=preset), CPU)
    assert same(plain, (raw, cache, plain[2]))
    assert same(plain, first) and same(first, second)
    assert plain[2] == first[2] == Reuse(40, 40, encoded=40, found=0, lower_reused=0)
    assert second[2] == Reuse(40, 40, encoded=0, found=40, lower_reused=40 if preset == "top" else 0)


def test_what_changed_is_encoded_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = toy().texts
    before = encoded(texts, tmp_path)
    asked: list[Tokens] = []

    def watched(tower: TextTower, tokens: Tokens, *rest: Any) -> tuple[Tensor, TextCache]:
        asked.append(tokens)
        return encode_lower(tower, tokens, *rest)

    monkeypatch.setattr(catalogue_cache, "encode_lower", watched)
    changed = [*texts[::-1], "red word1", "blue word2 word3"]
    after = encoded(changed, tmp_path)
    assert [one.ids.tolist() for one in asked] == [tokens(changed[-2:]).ids.tolist()]
    assert after[2] == Reuse(42, 42, encoded=2, found=40, lower_reused=40)
    assert torch.equal(after[0][:40], before[0].flip(0))
    fresh = encoded(changed, None)
    assert torch.allclose(after[0], fresh[0], atol=1e-6)
    (inputs, mask), (wanted, real) = after[1].padded(np.arange(42)), fresh[1].padded(np.arange(42))
    assert torch.equal(mask, real)
    assert torch.allclose(inputs[mask.bool()], wanted[real.bool()], atol=1e-5)
    assert encoded(texts, tmp_path)[2].encoded == 0, "the texts of before are still there"


def test_equal_texts_are_encoded_once_with_and_without_a_cache(tmp_path: Path) -> None:
    texts = ["red word1", "blue", "red word1", "RED  word1", "blue"]  # equal in their tokens
    for folder in (None, tmp_path):
        raw, cache, reuse = encoded(texts, folder)
        assert reuse == Reuse(5, 2, encoded=2, found=0, lower_reused=0)
        assert torch.equal(raw[0], raw[2]) and torch.equal(raw[2], raw[3]) and torch.equal(raw[1], raw[4])
        assert not torch.equal(raw[0], raw[1])
        inputs, mask = cache.padded(np.array([3, 1]))
        alone_raw, alone_cache, _ = encoded(["red word1"], None)
        assert torch.allclose(raw[3], alone_raw[0], atol=1e-6)
        assert torch.allclose(inputs[0], alone_cache.padded(np.array([0]))[0][0], atol=1e-6)
        assert mask.sum(1).tolist() == [4, 3]


def test_weights_and_layers_count(tmp_path: Path) -> None:
    config, changed = toy().config(), tower()
    with torch.no_grad():
        next(changed.base.parameters())[0, 0] += 1
    towers = [tower(), changed, tower(top_layers=2), tower(preset="adapter"), tower(preset="full")]
    keys = [model_key(one, config) for one in towers]
    assert keys[0] == model_key(tower(), config)
    assert len(set(keys)) == 4  # adapter and full read the same: pooled vectors alone
    assert keys[3] == keys[4]


def test_the_place_of_a_model_does_not_count(tmp_path: Path) -> None:
    copied = TextTower(shutil.copytree(toy().encoder, tmp_path / "copy"), toy().config(preset="top"))
    assert model_key(copied, toy().config()) == model_key(tower(), toy().config())


def test_texts_of_other_catalogues_go_when_the_cache_is_full(tmp_path: Path) -> None:
    first, second = toy().texts[:20], toy().texts[20:]
    size = sum(len(tokens(part).ids) + len(part) for part in (first, second)) * 32 * 4 / 2**30
    for part in (first, second):
        encoded(part, tmp_path, cache_gib=size * 1.01)
    assert encoded(first, tmp_path, cache_gib=size * 1.01)[2].found == 20
    encoded([*second, "red"], tmp_path, cache_gib=size * 0.99)  # no room for both any more
    assert encoded([*second, "red"], tmp_path)[2].found == 21
    assert encoded(first, tmp_path)[2].found == 0


def test_the_models_that_were_not_used_for_longest_go_when_the_cache_is_full(tmp_path: Path) -> None:
    for layers in (0, 1, 2):  # 0: pooled vectors alone
        more = {"top_layers": layers} if layers else {"preset": "adapter"}
        encoded(toy().texts, tmp_path, **more)
    old = time.time() - 1000
    for path in [*tmp_path.rglob("*"), *tmp_path.iterdir()]:
        os.utime(path, (old, old))
    encoded(toy().texts, tmp_path, top_layers=1)  # used: the others are older now
    sizes = {path.parent: size_of(path) for path in tmp_path.glob("*/texts")}
    assert len(sizes) == 3
    own = tmp_path / model_key(tower(top_layers=2), toy().config())
    encoded(toy().texts, tmp_path, top_layers=2, cache_gib=(sum(sizes.values()) - 1) / 2**30)
    left = {path.parent for path in tmp_path.glob("*/texts")}
    assert len(left) == 2 and own in left
    assert sizes.keys() - left == {min(sizes, key=sizes.__getitem__)}, "the one of the adapter, old and small"
    assert encoded(toy().texts, tmp_path, top_layers=1)[2].found == 40


def test_a_model_that_another_process_uses_stays(tmp_path: Path) -> None:
    encoded(toy().texts, tmp_path, preset="adapter")
    (used,) = tmp_path.iterdir()
    with alone(used):
        encoded(toy().texts, tmp_path, cache_gib=size_of(used) / 2**30 + 1e-3)
        assert (used / "texts").is_dir()
        with alone(used, wait=False) as held:
            assert not held


def test_the_newest_folders_stay(tmp_path: Path) -> None:
    now = time.time()
    for age in (50, 40, 30, 20, 10):
        (tmp_path / f"{age}").mkdir()
        (tmp_path / f"{age}" / "file").write_text("x")
        for path in (tmp_path / f"{age}" / "file", tmp_path / f"{age}"):
            os.utime(path, (now - age, now - age))
    os.utime(tmp_path / "50" / "file", (now, now))  # what is in it counts
    keep_newest(tmp_path, 2, spare_s=35.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "20", "30", "50"]
    keep_newest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "50"]
    keep_newest(tmp_path / "none", 2)


def test_a_catalogue_that_cannot_be_kept_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="GiB for the cached activations of 2 texts; found 1e-07"):
        encoded(["red", "blue", "red"], tmp_path, cache_gib=1e-7)


@pytest.mark.parametrize("name", ["keys", "starts", "lengths", "pooled", "hidden"])
def test_a_damaged_cache_is_made_anew(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = encoded(toy().texts, tmp_path)
    (path,) = tmp_path.rglob(f"{name}.npy")
    path.write_bytes(path.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING, catalogue_cache.__name__):
        again = encoded(toy().texts, tmp_path)
    assert "cache of encoded texts is damaged and will be made anew" in caplog.text
    assert again[2].encoded == 40 and same(first, again)
    assert encoded(toy().texts, tmp_path)[2].encoded == 0


def test_a_killed_run_leaves_the_old_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded(toy().texts[:20], tmp_path)

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(catalogue_cache, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            encoded(toy().texts, tmp_path)
    (model,) = tmp_path.iterdir()
    (model / ".new-left").mkdir()  # as a killed process leaves it
    assert encoded(toy().texts, tmp_path)[2] == Reuse(40, 40, encoded=20, found=20, lower_reused=20)
    assert sorted(path.name for path in model.iterdir()) == [".lock", "texts"]


def test_keys_are_of_tokens_alone() -> None:
    made = tokens(["red", "red blue", "red"])
    keys = token_keys(made)
    assert keys[0] == keys[2] != keys[1]
    assert len(token_keys(tokens([]))) == 0


def _hold(folder: Path, order: Any) -> None:
    with alone(folder):
        order.put("first holds")
        put(folder / "made", lambda place: (place / "x").write_text("first") and None)
        time.sleep(0.3)
        order.put("first leaves")


def test_two_processes_work_one_after_the_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    order = context.Queue()
    process = context.Process(target=_hold, args=(tmp_path, order))
    process.start()
    assert order.get(timeout=600) == "first holds"
    with alone(tmp_path):
        assert order.get(timeout=600) == "first leaves"  # it was there before this one got in
        assert (tmp_path / "made" / "x").read_text() == "first"
        put(tmp_path / "made", lambda place: (place / "x").write_text("second") and None)
    process.join()
    assert (tmp_path / "made" / "x").read_text() == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "made"]
