"""One training step against a loop over its pairs; the optimizer; the best epoch."""

import math

import numpy as np
import pytest
import torch

from recsys.core.columns import CLICK
from recsys.core.errors import DataError
from recsys.encoder.batch import histories
from recsys.encoder.datamodule import PairData
from recsys.encoder.module import EncoderModule
from recsys.encoder.text_cache import encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import load_tokenizer, tokenize
from tests.encoder.tiny import toy


def build(**changes: object) -> tuple[EncoderModule, PairData]:
    """A module with shaken weights, ready for a step, and the pairs of the toy world."""
    world = toy()
    config = world.config(**changes)
    text = TextTower(world.encoder, config)
    tokens = tokenize(load_tokenizer(world.encoder), world.texts, config.max_tokens)
    bank, cache = encode_lower(text, tokens, config, torch.device("cpu"))
    module = EncoderModule(text, config, world.trainer(lr=0.1, text_lr=0.01), ["pairs"], 10)
    torch.manual_seed(2)
    for part in (module.head, module.user):
        for name, parameter in part.named_parameters():
            if name != "log_scale":
                torch.nn.init.normal_(parameter, std=0.3)
    module.prepare(bank.clone(), cache, world.items, None)
    module.on_train_epoch_start()
    past = histories(world.log, world.pairs.head, config.history, True)
    return module, PairData(world.pairs, past, world.items, config)


def by_hand(
    module: EncoderModule, data: PairData, pairs: np.ndarray, drawn: np.ndarray, share: float
) -> float:
    """The loss pair by pair from item vectors and user vectors; no batch, no places."""
    vectors = module.head(module.bank).detach().double().numpy()
    candidates = sorted({*data.pairs.item[pairs].tolist(), *drawn.tolist()})
    q = {}
    for item in candidates:
        popular = (data.pairs.item == item).mean()
        q[item] = 1 - (1 - popular) ** len(pairs) * (1 - len(drawn) / len(data.known))
    total = 0.0
    for head, part in ((0, 1.0), (1, share)):
        losses, weights = 0.0, 0.0
        scale = float(module.user.scale()[head].detach())
        for p in pairs:
            weight = float(data.pairs.weight[p])
            if head == 1 and data.pairs.kind[p] == CLICK:
                continue
            items = data.past.items[p]
            real = torch.from_numpy(items >= 0)[None]
            history = module.head(module.bank)[np.maximum(items, 0)][None]
            kinds = torch.from_numpy(data.past.kinds[p].astype(np.int64))[None]
            gaps = torch.from_numpy(data.past.gaps[p].astype(np.int64))[None]
            user = module.user(history, kinds, gaps, real)[0, head].detach().double().numpy()
            target = int(data.pairs.item[p])
            mates = pairs[data.pairs.user[pairs] == data.pairs.user[p]]
            had = {*items[items >= 0].tolist(), *data.pairs.item[mates].tolist()}
            had = had if module.config.mask_history else set()
            terms = {
                i: math.exp(scale * float(user @ vectors[i])) / q[i]
                for i in candidates
                if i == target or i not in had
            }
            losses -= weight * math.log(terms[target] / sum(terms.values()))
            weights += weight
        total += part * losses / weights if weights else 0.0
    return total


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("mode", ["fresh", "stale"])
def test_a_step_against_a_loop(mask: bool, mode: str) -> None:
    module, data = build(mask_history=mask, history_vectors=mode, purchase_loss=0.7)
    pairs, drawn = np.arange(200, 216), np.array([1, 2, 3, 7])
    found = module.loss(data.batch(pairs, drawn, texts=False)).item()
    assert found == pytest.approx(by_hand(module, data, pairs, drawn, 0.7), rel=1e-4)


def test_masking_the_history_matters_here() -> None:
    losses = []
    for mask in (True, False):
        module, data = build(mask_history=mask)
        losses.append(module.loss(data.batch(np.arange(200, 232), np.arange(40), texts=False)).item())
    assert losses[0] < losses[1], "fewer negatives, less to lose"


def test_a_head_without_weight_gets_no_gradient() -> None:
    module, data = build(purchase_loss=0.0)
    module.loss(data.batch(np.arange(50, 70), np.arange(5), texts=False)).backward()
    gradient = module.user.mix.grad
    assert gradient is not None
    assert gradient[0].abs().sum() > 0
    assert gradient[1].abs().sum() == 0


def test_stale_histories_teach_the_user_alone() -> None:
    for mode, taught in (("fresh", True), ("stale", False)):
        module, data = build(history_vectors=mode)
        batch = data.batch(np.arange(100, 110), np.empty(0, np.int64), texts=False)
        encoded = module.head(module.bank[batch.items]).detach().requires_grad_(True)
        module.user_vectors(batch, encoded).sum().backward()
        assert (encoded.grad is not None and bool(encoded.grad.abs().sum() > 0)) is taught


@pytest.mark.parametrize("preset", ["top", "full", "lora"])
def test_texts_are_encoded_as_the_whole_model_does(preset: str) -> None:
    module, _ = build(preset=preset)
    items = np.array([5, 0, 39, 17])
    found = module.encode_texts(items).detach()
    assert torch.allclose(found, module.bank[items], atol=1e-5), (
        "untrained layers give the pretrained vectors"
    )
    one = module.encode_texts(items[1:2]).detach()
    assert torch.allclose(one[0], found[1], atol=1e-6)


def test_a_text_step_renews_the_bank_of_its_items() -> None:
    module, data = build(preset="top")
    assert module.text.top is not None
    with torch.no_grad():
        for parameter in module.text.top.parameters():
            parameter.mul_(1.1)
    before = module.bank.clone()
    items = np.array([3, 4, 5])
    module.loss(data.batch(data.pairs_of(items)[:6], items, texts=True))
    moved = (module.bank != before).any(1)
    assert sorted(torch.nonzero(moved).squeeze(1).tolist()) == [3, 4, 5]


def test_rates_fall_in_a_line_to_a_tenth_and_layers_have_their_own() -> None:
    module, _ = build(preset="top")
    made = module.configure_optimizers()
    optimizer, decay = made["optimizer"], made["lr_scheduler"]["scheduler"]
    seen = []
    for _ in range(13):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        decay.step()
    assert seen[0] == [0.1, 0.01]
    assert seen[5] == pytest.approx([0.055, 0.0055])
    assert seen[10] == pytest.approx([0.01, 0.001]) == seen[12]
    adapter, _ = build()
    assert len(adapter.configure_optimizers()["optimizer"].param_groups) == 1


def test_a_loss_that_is_no_number_names_epoch_and_step(monkeypatch: pytest.MonkeyPatch) -> None:
    module, data = build()
    batch = data.batch(np.arange(10), np.arange(3), texts=False)
    monkeypatch.setattr(module, "loss", lambda batch: torch.tensor(float("inf")))
    module._losses = [1.0] * 4
    with pytest.raises(
        DataError, match="training loss at epoch 0, step 4: expected a finite number; found inf"
    ):
        module.training_step(batch, 0)  # what Lightning counts begins anew where a training goes on


def test_the_best_epoch_is_given_back_and_a_better_last_one_stays() -> None:
    module, _ = build()
    values = {}
    for score in (0.2, 0.5, 0.3):
        with torch.no_grad():
            module.user.prior.fill_(score)
        module._keep_best(score, module.trained_state())
        values[score] = module.user.prior.clone()
    module.restore_best()
    assert torch.equal(module.user.prior, values[0.5])
    with torch.no_grad():
        module.user.prior.fill_(0.9)
    module._keep_best(0.9, module.trained_state())
    module.restore_best()
    assert torch.equal(module.user.prior, torch.full_like(module.user.prior, 0.9))


def test_dropout_stays_off_in_training() -> None:
    module, _ = build(preset="top")
    module.train()
    assert not module.text.training and all(not part.training for part in module.text.modules())
    assert module.head.training


@pytest.mark.parametrize("loss", ["softmax", "full_softmax"])
def test_what_a_user_takes_in_the_same_step_is_no_negative(loss: str) -> None:
    module, data = build(mask_history=True, loss=loss)
    pairs = np.flatnonzero(data.pairs.user == 3)[:2]
    other = np.flatnonzero(data.pairs.user == 4)[:1]
    batch = data.batch(np.r_[pairs, other], np.arange(40), texts=False)
    masked = module._no_negatives(batch, loss == "full_softmax")
    place = batch.items[batch.target] if loss == "full_softmax" else batch.target
    assert masked[0, place[1]] and masked[1, place[0]], "the same user's"
    had = set(data.past.items[other[0]].tolist())
    assert masked[2, place[0]] == (int(data.pairs.item[pairs[0]]) in had), "another user's own history alone"
