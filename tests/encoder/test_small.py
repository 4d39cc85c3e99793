"""A small model: which layers stay, what they learn, and a training over it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from recsys.core.errors import BundleError, ConfigError
from recsys.encoder import small
from recsys.encoder.text_cache import encode_lower
from recsys.encoder.text_tower import TextTower, layer_stack, load_model
from recsys.encoder.tokens import Tokens, load_tokenizer, tokenize
from tests.encoder.tiny import toy

CPU = torch.device("cpu")


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """Four layers, of which the second and the last do next to nothing."""
    world = toy()
    config = transformers.AutoConfig.from_pretrained(str(world.encoder))
    config.num_hidden_layers = 4
    torch.manual_seed(3)
    model = transformers.AutoModel.from_config(config)
    with torch.no_grad():
        for i in (0, 2):
            for weight in model.encoder.layer[i].parameters():
                weight.add_(0.3 * torch.randn_like(weight))
    model.save_pretrained(str(tmp_path / "deep"))
    (tmp_path / "deep" / "tokenizer.json").write_bytes((world.encoder / "tokenizer.json").read_bytes())
    return tmp_path / "deep"


def made(folder: Path) -> tuple[TextTower, Tokens, torch.Tensor]:
    world = toy()
    config = world.config(preset="small", layers=2)
    tower, tokens = TextTower(folder, config), tokenize(load_tokenizer(folder), world.texts, 16)
    return tower, tokens, encode_lower(tower, tokens, config, CPU)[0]


def test_the_layers_that_matter_are_kept(deep: Path) -> None:
    tower, tokens, wanted = made(deep)
    assert small.choose_layers(tower, tokens, wanted, 2) == (0, 2)
    stack = layer_stack(tower.base)
    assert stack is not None and len(stack[2]) == 4, "choosing changes nothing"
    assert tower.base.config.num_hidden_layers == 4


def test_a_cut_model_is_those_layers_alone(deep: Path) -> None:
    whole = load_model(deep)
    cut = small.cut(whole, (0, 2))
    hidden = whole.embeddings(torch.tensor([[2, 7, 9, 3]]))
    for i in (0, 2):
        hidden = whole.encoder.layer[i](hidden)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    assert torch.allclose(cut(torch.tensor([[2, 7, 9, 3]])).last_hidden_state, hidden, atol=1e-6)
    assert cut.encoder.layer[1] is not whole.encoder.layer[2]
    assert cut.encoder.layer[1].output.dense.weight is whole.encoder.layer[2].output.dense.weight


def test_teaching_brings_vectors_nearer(deep: Path) -> None:
    tower, tokens, wanted = made(deep)
    config, trainer = toy().config(preset="small", distil_passes=8, distil_lr=3e-3), toy().trainer()
    before = load_model(deep).state_dict()
    small.replace_model(tower, (1, 3))
    cosines = small.teach(tower, tokens, wanted, config, trainer)
    assert len(cosines) == 8 and all(np.diff(cosines) > 0)
    own = tower.base.state_dict()
    assert torch.equal(own["embeddings.word_embeddings.weight"], before["embeddings.word_embeddings.weight"])
    assert not torch.equal(
        own["encoder.layer.0.output.dense.weight"], before["encoder.layer.1.output.dense.weight"]
    )
    assert not any(p.requires_grad for p in tower.parameters())


def test_the_rate_rises_quickly_and_falls_to_a_twentieth() -> None:
    shares = [0.0, 0.025, 0.05, 0.5, 1.0]
    assert [small.rate(share) for share in shares] == pytest.approx([0, 0.488125, 0.9525, 0.525, 0.05])


def test_the_preset_trains_and_goes_on(deep: Path, tmp_path: Path) -> None:
    world = toy()
    config = world.config(preset="small", layers=2, name_or_path=str(deep))
    trainer = world.trainer(max_epochs=1)
    manifest = world.train(tmp_path / "a", config, trainer).manifest
    assert manifest["small"]["layers"] == [0, 2] and manifest["small"]["texts"] == 40
    assert len(manifest["small"]["cosine"]) == 2 and manifest["texts_per_s"] > 0
    after = world.train(tmp_path / "b", config, trainer, start=tmp_path / "a").manifest
    assert after["small"] == {"layers": [0, 2]}, "the small model is taken as it is"
    raw = [np.load(tmp_path / name / "raw.npy") for name in "ab"]
    assert np.array_equal(*raw)
    weights = [(tmp_path / name / "small.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    (tmp_path / "a" / "small.safetensors").unlink()
    with pytest.raises(BundleError, match=r"expected a file small.safetensors; found none"):
        world.train(tmp_path / "b", config, trainer, start=tmp_path / "a")


def test_as_many_layers_as_there_are_is_refused(tmp_path: Path) -> None:
    world = toy()
    with pytest.raises(ConfigError, match=r"encoder\.layers: expected 1 to 1, fewer .*; found 2"):
        world.train(tmp_path, world.config(preset="small", layers=2), world.trainer())
