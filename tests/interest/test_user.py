"""User vectors: torch's own, plain Python's, and the same bits in any company."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.core.errors import BundleError
from recsys.core.gaps import gap_bucket
from recsys.core.log import View
from recsys.encoder.config import EncoderConfig
from recsys.encoder.export import save_user_tower
from recsys.encoder.user_tower import UserTower as TorchTower
from recsys.interest import user
from recsys.interest.user import UserTower, dot, load_user_tower, mean_vector, user_vectors
from tests.interest.conftest import World, unit_rows


def _vectors(tower: UserTower, vectors: np.ndarray, view: View) -> tuple[np.ndarray, bool]:
    out = np.empty((2, vectors.shape[1]), np.float32)
    some = user_vectors(tower, vectors, view.n, view.items, view.kinds, view.times, out)
    return out, bool(some)


def _plain(tower: UserTower, vectors: np.ndarray, view: View) -> np.ndarray:
    """The definition, in float64."""
    use = [t for t in range(min(view.n, tower.read_history)) if not np.isnan(vectors[view.items[t], 0])]
    if not use:
        return np.asarray(tower.prior, np.float64)
    x = vectors[view.items[use]].astype(np.float64)
    logits = x @ tower.query.T.astype(np.float64)
    for row, t in enumerate(use):
        gap = 0
        if tower.clock and t > 0:
            gap = 1 + int((view.times[t - 1] - view.times[t] >= tower.gap_edges).sum())
        logits[row] += tower.kind_bias[:, view.kinds[t]] + tower.gap_bias[:, gap]
        logits[row] += tower.order_bias[:, min(t, tower.order_bias.shape[1] - 1)]
    weights = np.exp(logits - logits.max(0))
    pooled = (weights / weights.sum(0)).T @ x
    low = tower.down.astype(np.float64) @ pooled.ravel()
    heads = tower.mix @ pooled + np.einsum("r,hrd->hd", low, tower.up)
    return heads / np.linalg.norm(heads, axis=1, keepdims=True)


@pytest.mark.kernel
@pytest.mark.parametrize("n", [1, 2, 3, 7, 15, 16, 17, 21, 32, 63, 100, 384])
def test_dot_of_any_length(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=(2, n)).astype(np.float32)
    assert dot(a, b, np.full(n + 3, 9.0, np.float32)) == pytest.approx(float(a.astype(float) @ b), abs=1e-4)


@pytest.mark.kernel
@pytest.mark.parametrize(("clock", "read"), [(True, 50), (False, 50), (True, 4)])
def test_against_plain_python(world: World, clock: bool, read: int) -> None:
    tower = world.tower._replace(clock=clock, read_history=read)
    lengths = set()
    for request in range(len(world.users)):
        view = world.view(request)
        lengths.add(min(view.n, 12))
        found, some = _vectors(tower, world.tuned, view)
        assert np.allclose(found, _plain(tower, world.tuned, view), atol=2e-6)
        assert some == (view.n > 0 and not np.isnan(world.tuned[view.items[: view.n], 0]).all())
    assert {0, 12} <= lengths, "empty and long histories were among them"


@pytest.mark.kernel
def test_items_without_a_vector_are_skipped(world: World) -> None:
    items = np.array([7, 49, 50, -1, 7], np.int32)
    view = View(0, 0, 5, items, np.ones(5, np.int8), np.zeros(5, np.int64))
    found, some = _vectors(world.tower._replace(clock=False), world.tuned[:49], view)
    assert not some
    assert np.array_equal(found, world.tower.prior)
    found, some = _vectors(world.tower, world.tuned, view)
    assert some
    assert np.isfinite(found).all()


@pytest.mark.kernel
def test_mean_vector(world: World) -> None:
    out = np.empty(21, np.float32)
    assert mean_vector(world.raw, 3, np.array([1, 7, 2], np.int32), out)
    expected = world.raw[1] + world.raw[2]
    assert np.allclose(out, expected / np.linalg.norm(expected), atol=1e-6)
    assert not mean_vector(world.raw, 1, np.array([7], np.int32), out)
    assert not mean_vector(world.raw, 0, np.array([1], np.int32), out)


@pytest.mark.parametrize("trained", [False, True])
def test_the_torch_tower_and_the_kernel_agree(trained: bool, tmp_path: Path, world: World) -> None:
    torch.manual_seed(0)
    config = EncoderConfig(queries=3, rank=4, history=6)
    tower = TorchTower(21, config)
    if trained:
        for parameter in tower.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    save_user_tower(tower, tmp_path / "user_tower.npz", 30)
    loaded = load_user_tower(tmp_path, clock=True)
    assert loaded.read_history == 30
    tuned = unit_rows(np.random.default_rng(1), 50, 21)
    for request in range(len(world.users)):
        view = world.view(request)
        n = min(view.n, 30)
        found, _ = _vectors(loaded, tuned, view)
        items = torch.zeros(1, 30, dtype=torch.int64)
        kinds, gaps = torch.zeros_like(items), torch.zeros_like(items)
        items[0, :n] = torch.from_numpy(view.items[:n].astype(np.int64))
        kinds[0, :n] = torch.from_numpy(view.kinds[:n].astype(np.int64))
        for t in range(1, n):
            gaps[0, t] = gap_bucket(loaded.gap_edges, view.times[t - 1] - view.times[t])
        with torch.no_grad():
            wanted = tower(torch.from_numpy(tuned)[items], kinds, gaps, torch.arange(30)[None] < n)[0]
        assert np.allclose(found, wanted.numpy(), atol=1e-5)
        if not trained and n:
            mean = tuned[view.items[:n]].mean(0)
            assert np.allclose(found[0], mean / np.linalg.norm(mean), atol=1e-5), "it starts as the mean"


def test_incomplete_towers_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"user_tower.npz: expected an archive .*; found no such file"):
        load_user_tower(tmp_path, clock=True)
    np.savez(tmp_path / "user_tower.npz", query=np.zeros((1, 2), np.float32))
    with pytest.raises(BundleError, match=r"found no kind_bias"):
        load_user_tower(tmp_path, clock=True)


def test_the_room_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'pytorch_lightning'): sys.modules[name] = None\n"
        "import recsys.interest.text, recsys.interest.vectors, recsys.interest.user, recsys.interest.score\n"
        "assert not any(m.startswith('recsys.encoder') for m in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
    assert user.__doc__
