"""Tables in shards over two processes learn what one process learns."""

import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from recsys.core.errors import ConfigError
from recsys.encoder.batch import StepBatch
from recsys.encoder.id_shards import SHARDINGS, gather, shard, train_sharded
from recsys.encoder.module import EncoderModule
from tests.encoder.ids import needs_torchrec, shop_module

STEPS, PROCESSES = 4, 2


def batches(rank: int, data: Any) -> list[StepBatch]:
    """The batches of a process."""
    rng = np.random.default_rng(1)
    order = rng.permutation(len(data.pairs.item))[: 32 * STEPS * PROCESSES].reshape(STEPS, PROCESSES, 32)
    drawn = [rng.choice(data.known, 10, replace=False) for _ in range(STEPS)]
    return [data.batch(pairs[rank], other, texts=False) for pairs, other in zip(order, drawn, strict=True)]


def process(rank: int, port: int, out: str) -> None:
    """Train with whole tables here and there, then with columns of each."""
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=PROCESSES)
    for sharding in SHARDINGS:
        module, data = shop_module("torchrec")
        assert module.ids is not None
        shard(module.ids, torch.device("cpu"), sharding)
        own = sum(p.numel() for p in module.ids.bags.parameters())
        train_sharded(module, batches(rank, data))
        gather(module.ids)
        dense = {name: p.detach().numpy() for name, p in module.named_parameters() if "ids." not in name}
        np.savez(f"{out}/{sharding}-{rank}.npz", own=np.int64(own), **module.ids.arrays(), **dense)
    distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return int(one.getsockname()[1])


def in_one_process() -> EncoderModule:
    """A module that learned from the batches of all processes."""
    module, data = shop_module("plain")
    told = module.configure_optimizers()
    for parts in zip(*(batches(rank, data) for rank in range(PROCESSES)), strict=True):
        torch.stack([module.loss(part) for part in parts]).mean().backward()
        module.configure_gradient_clipping(told["optimizer"], 1.0)
        told["optimizer"].step()
        told["optimizer"].zero_grad()
        told["lr_scheduler"]["scheduler"].step()
    return module


@needs_torchrec
@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    multiprocessing.spawn(process, (free_port(), str(tmp_path)), PROCESSES)
    start, module = shop_module("plain")[0], in_one_process()
    assert module.ids is not None and start.ids is not None
    wanted = module.ids.arrays() | {
        name: p.detach().numpy() for name, p in module.named_parameters() if "ids." not in name
    }
    for name, value in start.ids.arrays().items():
        assert "keys" in name or np.abs(wanted[name] - value).max() > 1e-2, "it learned"
    for sharding in SHARDINGS:
        own = 0
        for rank in range(PROCESSES):
            with np.load(tmp_path / f"{sharding}-{rank}.npz") as found:
                own += int(found["own"])
                for name, value in wanted.items():
                    np.testing.assert_allclose(found[name], value, atol=1e-5, rtol=0, err_msg=name)
        whole = sum(table.numel() for table in module.ids.tables().values())
        assert own == whole, "each process holds its share alone"


def test_plain_tables_cannot_be_cut() -> None:
    module, _ = shop_module("plain")
    assert module.ids is not None
    with pytest.raises(ConfigError, match="encoder.ids.kind: expected torchrec; found plain"):
        shard(module.ids, torch.device("cpu"))
