"""The id tower: its sums by hand, torchrec against plain torch, and what is exported of it."""

import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from recsys.core.errors import ConfigError, MissingExtraError
from recsys.core.hashing import hash_value
from recsys.encoder.id_tower import IdTower, import_torchrec, make_id_tower
from recsys.encoder.ids_config import IdsConfig
from recsys.encoder.user_tower import unit
from recsys.interest.ids import IdVectors, add_ids, id_part
from tests.encoder.ids import N_ITEMS, columns, needs_torchrec, shop_module

KNOWN = np.arange(30)


def tower(kind: str = "plain", **changes: Any) -> IdTower:
    """Tables with numbers in them; items from 30 on are not known."""
    buckets = {"item_id": 8, "category": 64, "brand": 64}
    config = IdsConfig(**({"kind": kind, "buckets": buckets, "length": 6.0} | changes))
    out = IdTower(config, columns(), KNOWN, 6, seed=0)
    torch.manual_seed(4)
    for table in out.tables().values():
        torch.nn.init.normal_(table)
    return out


def by_hand(one: IdTower, item: int) -> torch.Tensor:
    """The id part of an item, value by value."""
    values, total = columns(), torch.zeros(6)
    for column, table in one.tables().items():
        value = values[column][item]
        if value is not None and value in [values[column][k] for k in KNOWN]:
            row = table[hash_value(value) % len(table)].detach()
            most = one.config.length / 3  # the column's share
            total = total + row / (1 + float(row @ row) / most**2) ** 0.5
    return total


def test_the_sum_by_hand() -> None:
    one, text = tower(), unit(torch.randn(N_ITEMS, 6))
    found = one(text).detach()
    for item in range(N_ITEMS):
        torch.testing.assert_close(found[item], unit(text[item] + by_hand(one, item)), atol=1e-6, rtol=0)
    some = torch.tensor([35, 3, 3])
    torch.testing.assert_close(one(text[some], some), found[some])


def test_tables_start_at_zero_and_leave_the_text_as_it_is() -> None:
    one = IdTower(IdsConfig(kind="plain"), columns(), KNOWN, 6, seed=0)
    text = unit(torch.randn(N_ITEMS, 6))
    torch.testing.assert_close(one(text), text, atol=1e-6, rtol=0)


def test_the_id_part_stays_below_its_length_and_small_rows_count_as_they_are() -> None:
    """However far the tables have gone, an item without ids is that near to what it would be with them."""
    one, text = tower(length=0.3), unit(torch.randn(N_ITEMS, 6))
    for scale in (1.0, 1e6):
        for table in one.tables().values():
            table.data *= scale
        part = one.part(one.buckets).detach()
        assert 0.15 < float(part.norm(dim=1).max()) < 0.3 + 1e-6
        assert float(part[30:].norm(dim=1).max()) < 0.2 + 1e-6, "two of three columns"
        assert float((one(text).detach() * text).sum(1).min()) > (1 - 0.3**2) ** 0.5 - 1e-6
    torch.testing.assert_close(
        one.short(torch.tensor([[0.003, 0.004]])), torch.tensor([[0.003, 0.004]]), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(one.short(torch.tensor([[0.06, 0.08]])), torch.tensor([[0.06, 0.08]]) / 2**0.5)


def test_an_unknown_id_reads_no_row_of_another() -> None:
    one = tower(buckets=1)  # every value shares the one row
    assert (one.buckets[30:, 0] == -1).all(), "ids that training did not know"
    assert (one.buckets[30:, 1] == 0).all(), "their categories it did"
    assert (one.buckets[::5, 2] == -1).all(), "items without a brand"


def test_dropping_leaves_whole_items_out_and_the_draw_is_the_steps_own() -> None:
    one, text = tower(dropout=0.5), unit(torch.randn(N_ITEMS, 6))
    whole, first = one(text), one(text, step=(0, 1))
    dropped = (first == unit(text)).all(1)
    kept = (first == whole).all(1)
    assert (dropped | kept)[:30].all()
    assert 8 < int(dropped.sum()) < 32
    assert torch.equal(first, one(text, step=(0, 1)))
    assert not torch.equal(first, one(text, step=(0, 2)))
    assert torch.equal(tower(dropout=0.0)(text, step=(0, 1)), whole)


@needs_torchrec
def test_torchrec_gives_the_numbers_and_gradients_of_plain_torch() -> None:
    text, weight = unit(torch.randn(N_ITEMS, 6)), torch.randn(N_ITEMS, 6)
    found = []
    for kind in ("plain", "torchrec"):
        one = tower(kind)
        vectors = one(text, step=(0, 1))
        (vectors * weight).sum().backward()
        found.append((vectors.detach(), [table.grad.to_dense() for table in one.tables().values()]))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-6, rtol=0)
    for plain, other in zip(found[0][1], found[1][1], strict=True):
        assert plain.abs().sum() > 0
        torch.testing.assert_close(plain, other, atol=1e-6, rtol=0)


@needs_torchrec
def test_torchrec_learns_what_plain_torch_learns() -> None:
    states = []
    for kind in ("plain", "torchrec"):
        module, data = shop_module(kind)
        optimizer = module.configure_optimizers()["optimizer"]
        before = module.trained_state()
        for step in range(4):
            batch = data.batch(np.arange(step * 32, step * 32 + 32), np.arange(10), texts=False)
            module.loss(batch).backward()
            module.configure_gradient_clipping(optimizer, 1.0)
            optimizer.step()
            optimizer.zero_grad()
        states.append(module.trained_state())
    assert states[0].keys() == states[1].keys(), "a checkpoint of the one is one of the other"
    tables = [name for name in states[0] if "embedding_bags" in name]
    assert len(tables) == 3
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], atol=1e-6, rtol=0)
        if name in tables:
            assert (value - before[name]).abs().max() > 1e-2


def test_arrays_give_the_same_vectors_without_torch() -> None:
    one, text = tower(), unit(torch.randn(N_ITEMS, 6))
    arrays, names = one.arrays(), tuple(columns())
    ids = IdVectors(
        names, tuple(arrays[f"keys/{n}"] for n in names), tuple(arrays[f"vectors/{n}"] for n in names)
    )
    found = add_ids(text.numpy(), id_part(ids, columns()))
    np.testing.assert_allclose(found, one(text).detach().numpy(), atol=1e-6)
    assert len(arrays["keys/item_id"]) == len(KNOWN)


def test_rows_without_gradient_rest_and_others_follow_the_formula() -> None:
    module, data = shop_module("plain", buckets=4096, dropout=0.0)
    assert module.ids is not None
    optimizer = module.configure_optimizers()["optimizer"]
    table = module.ids.tables()["item_id"]
    squares = torch.zeros(len(table))
    for step in range(3):
        batch = data.batch(np.arange(step * 4, step * 4 + 4), np.arange(2), texts=False)
        module.loss(batch).backward()
        gradient, before = table.grad.to_dense(), table.detach().clone()
        optimizer.step()
        squares += gradient.square().mean(1)
        moved = squares.sqrt().unsqueeze(1) + 1e-8
        wanted = before - optimizer.param_groups[-1]["lr"] * gradient / moved
        torch.testing.assert_close(table.detach(), wanted, atol=1e-7, rtol=0)
        assert 0 < int((gradient != 0).any(1).sum()) < 40
    assert table.grad is None


def test_bad_settings_are_refused() -> None:
    for changes, message in (
        ({"kind": "hash"}, "encoder.ids.kind: expected one of none, plain, torchrec; found 'hash'"),
        ({"columns": ()}, "encoder.ids.columns: expected columns of items, each once; found none"),
        ({"columns": ("brand", "brand")}, "each once; found brand, brand"),
        ({"dropout": 1.0}, "encoder.ids.dropout: expected at least 0 and below 1; found 1.0"),
        ({"length": 0.0}, "encoder.ids.length: expected above 0; found 0.0"),
        ({"buckets": 0}, "encoder.ids.buckets: expected at least 1; found 0"),
        ({"buckets": {"brand": 0}}, "encoder.ids.buckets.brand: expected at least 1; found 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            IdsConfig(**changes)
    with pytest.raises(ConfigError, match="one for each of item_id, category, brand; found brand"):
        IdTower(IdsConfig(kind="plain", buckets={"brand": 3}), columns(), KNOWN, 6, 0)
    with pytest.raises(ConfigError, match=r"encoder\.ids: expected the values of the columns item_id"):
        make_id_tower(IdsConfig(kind="plain"), None, KNOWN, 6, 0)
    assert make_id_tower(IdsConfig(), columns(), KNOWN, 6, 0) is None


def test_without_torchrec_the_message_names_the_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchrec", None)
    with pytest.raises(MissingExtraError) as caught:
        import_torchrec()
    for part in (
        "torch 2.13.0, torchrec 1.8.0 and fbgemm-gpu-cpu 1.8.0",
        "encoder.ids.kind=plain",
        "found torch ",
    ):
        assert part in str(caught.value)


@needs_torchrec
def test_importing_torchrec_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert import_torchrec().EmbeddingBagCollection
