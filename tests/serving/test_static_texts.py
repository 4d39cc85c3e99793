"""A bundle whose encoder ended in a table carries it, and reads new items with it."""

from pathlib import Path

import numpy as np

from recsys.interest.vectors import load_vectors
from recsys.serving.bundle_write import _write_texts
from recsys.serving.new_items import NewItems
from tests.encoder.tiny import toy


def test_new_items_are_read_by_the_bundled_table(tmp_path: Path) -> None:
    world = toy()
    world.train(tmp_path / "encoder", world.config(preset="static"), world.trainer(max_epochs=1))
    stored = load_vectors(tmp_path / "encoder")
    text = tmp_path / "bundle" / "text"
    assert _write_texts(tmp_path / "encoder", text) == "static"
    assert (text / "static.npy").is_file() and not (text / "weights.safetensors").exists()
    new = NewItems(text, ("title",), 32)
    tuned, raw = new.vectors({0: {"title": world.texts[3]}, 2: {"title": "blue"}}, 3)
    assert np.array_equal(tuned[0], stored.tuned[3]) and np.array_equal(raw[0], stored.raw[3])
    assert np.isnan(tuned[1]).all() and np.isclose(np.linalg.norm(tuned[2]), 1.0, atol=1e-5)
