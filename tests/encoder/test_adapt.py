"""First steps: what masking and the contrast are, that they learn, and that a folder carries their work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer, models

from recsys.core.errors import BundleError, ConfigError, DataError
from recsys.encoder.adapt.contrastive import TEMPERATURE, contrastive_loss
from recsys.encoder.adapt.first_steps import first_steps
from recsys.encoder.adapt.loop import shuffled_batches, train_epochs
from recsys.encoder.adapt.mlm import OwnHead, TiedHead, Vocabulary, head_for, hide, mlm_loss, vocabulary_of
from recsys.encoder.adapt_config import AdaptConfig
from recsys.encoder.config import EncoderConfig
from recsys.encoder.text_tower import TextTower, load_model
from recsys.encoder.tokens import load_tokenizer
from tests.encoder.tiny import Toy, random_tiny_encoder, toy

BOTH = AdaptConfig(mlm_epochs=2, contrastive_epochs=3, batch=8, lr=1e-3)


def parted() -> Toy:
    """The toy world with two parts a text that share the telling word."""
    world = toy()
    halves = [(text.split(), "red" if i % 2 == 0 else "blue") for i, text in enumerate(world.texts)]
    texts = [f"title: {a[0]} {a[1]} {c} ; description: {c} {a[2]} {a[3]}" for a, c in halves]
    return world._replace(texts=texts)


def adapted(world: Toy, config: EncoderConfig, seed: int = 0) -> tuple[TextTower, list[dict[str, Any]]]:
    torch.manual_seed(0)
    text = TextTower(world.encoder, config)
    rows = first_steps(text, world.encoder, load_tokenizer(world.encoder), world.texts, config, seed)
    return text, rows


def with_head(folder: Path) -> Path:
    """The tiny encoder with the head of masked language modelling in its folder."""
    random_tiny_encoder(folder, ["red", "blue"])
    config = transformers.BertConfig.from_pretrained(str(folder))
    torch.manual_seed(1)
    model = transformers.BertForMaskedLM(config)
    torch.nn.init.normal_(model.cls.predictions.bias)
    model.save_pretrained(str(folder))
    return folder


def test_the_shares_of_what_is_hidden() -> None:
    vocabulary = Vocabulary(1000, 4, np.array([2, 3, 4]))
    ids = np.random.default_rng(0).integers(5, 1000, (2000, 50))
    ids[:, 0] = 2
    real = np.ones(ids.shape, bool)
    real[:, 40:] = False
    seen, chosen = hide(ids, real, vocabulary, np.random.default_rng(1))
    assert not chosen[:, 0].any() and not chosen[:, 40:].any()
    assert np.array_equal(seen[~chosen], ids[~chosen])
    assert chosen[:, 1:40].mean() == pytest.approx(0.15, abs=0.005)
    hidden, kept = seen[chosen] == 4, seen[chosen] == ids[chosen]
    assert hidden.mean() == pytest.approx(0.8, abs=0.01)
    assert kept.mean() == pytest.approx(0.1, abs=0.01)
    assert np.unique(seen[chosen][~hidden & ~kept]).size > 500, "any token of the vocabulary"


def test_the_mask_and_what_stands_around_a_text() -> None:
    vocabulary = vocabulary_of(load_tokenizer(toy().encoder))
    assert vocabulary.mask == 4 and vocabulary.special.tolist() == [2, 3, 4]
    bare = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    with pytest.raises(ConfigError, match=r"encoder.adapt.mlm_epochs: .*a tokenizer without \[MASK\]"):
        vocabulary_of(bare)


def test_the_own_head_is_used_where_there_is_one(tmp_path: Path) -> None:
    folder = with_head(tmp_path)
    base = load_model(folder)
    head = head_for(folder, base)
    assert isinstance(head, OwnHead)
    whole = transformers.BertForMaskedLM.from_pretrained(str(folder)).eval()
    ids = torch.arange(5, 15).reshape(2, 5)
    with torch.no_grad():
        hidden = base(input_ids=ids).last_hidden_state
        assert torch.allclose(head(hidden[0]), whole(input_ids=ids).logits[0], atol=1e-5)
    names = {name for name, _ in head.named_parameters()}
    assert not [name for name in names if ".layer." in name or ".embeddings." in name]
    shared = base.get_input_embeddings().weight
    assert any(p is shared for p in head.parameters()), "what is learned of one is learned of the other"


def test_without_a_head_the_token_embeddings_tell() -> None:
    base = load_model(toy().encoder)
    head = head_for(toy().encoder, base)
    assert isinstance(head, TiedHead)
    hidden = torch.randn(3, 32)
    with torch.no_grad():
        head.bias.normal_()
        wanted = hidden @ base.get_input_embeddings().weight.T + head.bias
        assert torch.allclose(head(hidden), wanted, atol=1e-5)
    assert [name for name, _ in head.named_parameters()] == ["weight", "bias"]


def test_the_masked_loss_against_a_loop() -> None:
    base = load_model(toy().encoder)
    head = head_for(toy().encoder, base)
    ids = torch.arange(5, 20).reshape(3, 5)
    mask = torch.tensor([[1] * 5, [1] * 4 + [0], [1] * 3 + [0] * 2])
    seen, chosen = ids.clone(), torch.zeros(3, 5, dtype=torch.bool)
    for row, column in ((0, 1), (0, 4), (2, 2)):
        seen[row, column], chosen[row, column] = 4, True
    with torch.no_grad():
        found = mlm_loss(base, head, seen, mask, ids, chosen).item()
        total = 0.0
        for row, column in ((0, 1), (0, 4), (2, 2)):
            n = int(mask[row].sum())
            scores = head(base(input_ids=seen[row : row + 1, :n]).last_hidden_state[0, column])
            total -= torch.log_softmax(scores.double(), 0)[ids[row, column]].item()
        assert found == pytest.approx(total / 3, rel=1e-5)
        assert mlm_loss(base, head, seen, mask, ids, torch.zeros_like(chosen)).item() == 0.0


def test_the_contrast_by_hand_with_a_shared_text() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    number = torch.tensor([0, 1, 2])
    shared = torch.tensor([7, 8, 7])  # items 0 and 2 have the same description

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    others = {0: [1], 1: [0, 2], 2: [1]}
    losses = []
    for one, other in ((first, second), (second, first)):
        for i in range(3):
            own = np.exp(cosine(one[i], other[i]) / TEMPERATURE)
            rest = sum(np.exp(cosine(one[i], other[j]) / TEMPERATURE) for j in others[i])
            losses.append(-np.log(own / (own + rest)))
    found = contrastive_loss(torch.from_numpy(first), torch.from_numpy(second), number, shared).item()
    assert found == pytest.approx(np.mean(losses), rel=1e-6)


def test_batches_hold_each_text_once_and_none_is_small() -> None:
    lengths = np.random.default_rng(3).integers(3, 60, 1001)
    batches = shuffled_batches(lengths, 8, np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(1001))
    assert min(map(len, batches)) >= 8 and max(map(len, batches)) <= 16
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.2 * lengths.sum()


def test_a_loss_that_is_no_number_stops() -> None:
    parameter = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(DataError, match=r"the mlm loss at epoch 1: .*found nan. Lower encoder.adapt.lr"):
        train_epochs("mlm", [parameter], [[np.arange(2)]], lambda _: parameter.sum() * float("nan"), 1.0)


def test_both_steps_learn_and_the_trained_part_is_made_anew() -> None:
    world = parted()
    text, rows = adapted(world, world.config(preset="top", adapt=BOTH))
    assert [(row["epoch"], row["kind"]) for row in rows] == [
        *((1, "mlm"), (2, "mlm")),
        *((3, "contrastive"), (4, "contrastive"), (5, "contrastive")),
    ]
    mlm = [row["adapt/mlm_loss"] for row in rows[:2]]
    contrast = [row["adapt/contrastive_loss"] for row in rows[2:]]
    assert mlm[1] < mlm[0] and contrast[2] < contrast[0]
    assert text.adapted and not any(p.requires_grad for p in text.base.parameters())
    ids, mask = torch.arange(5, 15).reshape(2, 5), torch.ones(2, 5, dtype=torch.int64)
    raw, tuned = text(ids, mask)
    assert torch.allclose(raw, tuned, atol=1e-5)
    assert not torch.allclose(raw, TextTower(world.encoder, world.config())(ids, mask)[0], atol=1e-3)


def test_the_seed_decides() -> None:
    world = parted()
    config = world.config(adapt=AdaptConfig(mlm_epochs=1, contrastive_epochs=1, batch=8))
    states = [adapted(world, config, seed)[0].base.state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert any(not torch.equal(value, states[2][name]) for name, value in states[0].items())


def test_without_first_steps_nothing_is_changed() -> None:
    world = toy()
    text, rows = adapted(world, world.config())
    assert rows == [] and not text.adapted


def test_one_part_a_text_is_refused() -> None:
    world = toy()
    with pytest.raises(DataError) as error:
        adapted(world, world.config(adapt=AdaptConfig(contrastive_epochs=1)))
    assert str(error.value) == (
        "encoder.adapt.contrastive_epochs: expected items with two parts of text or more (a title and a "
        "description); found 0 of 40 known items. Name more columns (data.text.columns), or set "
        "encoder.adapt.contrastive_epochs=0."
    )


@pytest.mark.parametrize("preset", ["adapter", "top", "lora"])
def test_a_folder_carries_the_adapted_model(preset: str, tmp_path: Path) -> None:
    world = parted()
    config = world.config(preset=preset, adapt=BOTH)
    history, manifest = world.train(tmp_path / "a", config, world.trainer(max_epochs=1))
    assert [row["kind"] for row in history[:6]] == ["mlm", "mlm", *["contrastive"] * 3, "start"]
    assert manifest["adapted"] and manifest["best_epoch"] >= 0
    base = [
        name for name in load_file(tmp_path / "a" / "weights.safetensors") if name.startswith("text.base.")
    ]
    assert "text.base.embeddings.word_embeddings.weight" in base

    rest = world.trainer(max_epochs=1, lr=0.0, text_lr=0.0)
    again = world.train(tmp_path / "b", config, rest, start=tmp_path / "a")
    assert again.history[0]["kind"] == "start", "first steps are not made twice"
    assert again.manifest["adapted"]
    for name in ("raw.npy", "tuned.npy"):
        assert np.allclose(np.load(tmp_path / "a" / name), np.load(tmp_path / "b" / name), atol=1e-6)
    plain = tmp_path / "plain"
    world.train(plain, world.config(preset=preset), world.trainer(max_epochs=1))
    assert not np.allclose(np.load(tmp_path / "a" / "raw.npy"), np.load(plain / "raw.npy"), atol=1e-2)


def test_an_adapted_model_of_another_size_is_refused(tmp_path: Path) -> None:
    world = parted()
    world.train(tmp_path / "a", world.config(adapt=BOTH), world.trainer(max_epochs=1))
    wide = random_tiny_encoder(tmp_path / "wide", ["red", "blue"], dims=64)
    with pytest.raises(BundleError, match=r"weights of this configuration.*found \d+ tensors that differ"):
        config = world.config(name_or_path=str(wide))
        world.train(tmp_path / "b", config, world.trainer(), start=tmp_path / "a")


def test_only_known_items_are_read(tmp_path: Path) -> None:
    world = parted()
    early = world._replace(items=np.arange(20))
    pairs = type(world.pairs)(*(column[world.pairs.item < 20] for column in world.pairs))
    changed = early._replace(
        texts=[t if i < 20 else "red red" for i, t in enumerate(world.texts)], pairs=pairs
    )
    bases = []
    for name, one in (("a", early._replace(pairs=pairs)), ("b", changed)):
        one.train(tmp_path / name, one.config(adapt=BOTH), one.trainer(max_epochs=1))
        weights = load_file(tmp_path / name / "weights.safetensors")
        bases.append({k: v for k, v in weights.items() if k.startswith("text.base.")})
    assert bases[0] and all(torch.equal(value, bases[1][name]) for name, value in bases[0].items())
