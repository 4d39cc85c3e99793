"""The card tells people what the manifest tells machines."""

import hashlib
from typing import Any

import numpy as np

from recsys.encoder.card import CARD, card
from recsys.encoder.fingerprint import hash_data, hash_texts
from tests.encoder.tiny import exported, toy


def test_the_card_of_a_trained_encoder_tells_what_it_is() -> None:
    folder, (history, manifest) = exported()
    text = (folder / CARD).read_text(encoding="utf-8")
    weights = hashlib.sha256((toy().encoder / "model.safetensors").read_bytes()).hexdigest()
    for part in (
        "vectors: 32 numbers each",
        f"its weights: sha256 {weights}",
        "preset: top",
        "pairs: 720 learned, 80 held out",
        "items: 40 known in the window",
        f"data, texts: sha256 {hash_texts(toy().texts)}",
        "Texts are cut at 16 tokens.",
        "0.0% of the catalogue's tokens are unknown",
        f"The folder holds the weights of epoch {manifest['best_epoch']}.",
        f"- cosine: {manifest['export_check']['cosine']:.6g}",
        "from recsys.encoder.checkpoint import load, load_config",
    ):
        assert part in text, part
    assert "lists" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(history) + 2
    assert rows[0] == ("| epoch | kind | loss | NDCG@10 | recall@10 | NDCG@10, purchases | seconds |")
    best = next(row for row in history if row["epoch"] == manifest["best_epoch"])
    assert sum(f"**{best['holdout/click_ndcg_at_10']:.4f}**" in row for row in rows) == 1


def test_what_is_absent_is_said_or_left_out() -> None:
    _, (history, manifest) = exported()
    changed: dict[str, Any] = manifest | {
        "engine": "vectors",
        "window": {},
        "clock": False,
        "model_sha256": None,
        "unknown_tokens": 0.123,
        "lists": {"learned": 3, "holdout": 1},
    }
    text = card(changed, history)
    for part in (
        "Vectors only (`raw.npy`, `tuned.npy`)",
        "window: not named; an order without a clock",
        "sha256 (in several files)",
        "12.3% of the catalogue's tokens are unknown",
        "lists: 3 learned, 1 held out",
    ):
        assert part in text, part
    assert "compared with torch" not in text and "nan" not in text


def test_the_data_have_a_hash_each_that_moves_with_them_alone() -> None:
    world = toy()
    first = hash_data(world.texts, world.pairs, world.log, world.items, None)
    assert set(first) == {"texts", "pairs", "log", "known_items"}
    assert first == hash_data(list(world.texts), world.pairs, world.log, world.items.copy(), None)
    later = world.pairs._replace(weight=world.pairs.weight + 1)
    second = hash_data(["x", *world.texts[1:]], later, world.log, world.items[1:], None)
    assert {name for name in first if first[name] != second[name]} == {"texts", "pairs", "known_items"}
    assert hash_texts(["ab", "c"]) != hash_texts(["a", "bc"])
    empty = world.pairs._replace(item=np.empty(0, np.int32))
    assert hash_data([], empty, world.log, world.items, None)["pairs"] != first["pairs"]
