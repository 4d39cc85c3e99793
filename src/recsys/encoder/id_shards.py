"""Id tables cut into shards over the processes of a group, for tables larger than one device.

torchrec's ``DistributedModelParallel`` gives each process some tables, or some columns of each, and
updates them inside the backward pass by the rule of `recsys.encoder.table_optimizer`. Everything else of
the encoder is alike in all processes and learns from the mean of their gradients. Afterwards the tables
come back whole, so checkpoints and exports are those of one process.

This is a library's part: the stage train-encoder runs in one process. A program of your own, started once a
process (``torchrun --nproc_per_node=2 own.py``), goes on from an encoder with ``encoder.ids.kind=torchrec``:

>>> torch.distributed.init_process_group("gloo")  # "nccl" on GPUs
>>> ids = IdTower(config.ids, values, known, text.dims, trainer.seed)
>>> module = EncoderModule(text, config, trainer, kinds, steps, ids)
>>> module.prepare(raw, cache, known, holdout)
>>> module.on_train_epoch_start()
>>> shard(module.ids, torch.device("cpu"), "column_wise")
>>> train_sharded(module, batches_of_this_process)
>>> gather(module.ids)  # whole tables again, in every process
>>> if torch.distributed.get_rank() == 0:
...     write_towers(module, raw, tokens, config, folder)

``tests/encoder/test_id_shards.py`` is such a program whole, and holds it equal to one process.
"""

import logging
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, distributed

from recsys.core.checks import check_choice
from recsys.core.errors import ConfigError
from recsys.encoder.batch import ListBatch, StepBatch
from recsys.encoder.id_tower import IdTower, import_torchrec, torchrec_bags
from recsys.encoder.module import EncoderModule
from recsys.encoder.table_optimizer import EPS, ROWWISE, clip_dense

SHARDINGS = ("table_wise", "column_wise")


def shard(tower: IdTower, device: torch.device, sharding: str = "table_wise") -> None:
    """Put this process' shards in the place of the whole tables.

    Parameters
    ----------
    tower : IdTower
        Of kind torchrec, alike in all processes of the default group.
    device : torch.device
    sharding : {"table_wise", "column_wise"}
        Whole tables, or columns of each table.

    Raises
    ------
    ConfigError
        The tower's tables are not torchrec's.
    """
    check_choice("sharding", sharding, SHARDINGS)
    if tower.config.kind != "torchrec":
        raise ConfigError(
            "encoder.ids.kind", expected="torchrec", found=tower.config.kind, do="Only its tables can be cut."
        )
    import_torchrec()
    from torchrec.distributed import DistributedModelParallel
    from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
    from torchrec.distributed.planner import EmbeddingShardingPlanner, ParameterConstraints, Topology
    from torchrec.distributed.planner.storage_reservations import FixedPercentageStorageReservation
    from torchrec.optim import RowWiseAdagrad
    from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward

    apply_optimizer_in_backward(RowWiseAdagrad, tower.bags.parameters(), {"lr": tower.config.lr, "eps": EPS})
    logging.getLogger("torchrec.distributed.planner").setLevel(logging.ERROR)
    sharder: Any = EmbeddingBagCollectionSharder()
    rule = ParameterConstraints(sharding_types=[sharding])
    planner = EmbeddingShardingPlanner(
        topology=Topology(distributed.get_world_size(), device.type),
        constraints=dict.fromkeys(_names(tower), rule),
        storage_reservation=FixedPercentageStorageReservation(0.15),
    )
    plan = planner.collective_plan(tower.bags, [sharder], distributed.group.WORLD)
    whole = dict(tower.bags.named_parameters())
    tower.bags = DistributedModelParallel(tower.bags, device=device, plan=plan, sharders=[sharder])
    for name, table in _sharded(tower):  # which come with numbers of their own
        for one in table.local_shards():
            (row, column), (rows, columns) = one.metadata.shard_offsets, one.metadata.shard_sizes
            one.tensor.copy_(whole[name].detach()[row : row + rows, column : column + columns])


def _names(tower: IdTower) -> list[str]:
    return [config.name for config in cast(Any, tower.bags).embedding_bag_configs()]


def _sharded(tower: IdTower) -> list[tuple[str, Any]]:
    """The sharded tables by the names that they have when they are whole."""
    tables = cast(Any, tower.bags).state_dict().items()
    return [(name.removeprefix("module."), table) for name, table in tables]


def gather(tower: IdTower) -> None:
    """Put the whole tables back, in every process."""
    tables = torchrec_bags(tower.sizes, tower.dims)
    whole = dict(tables.named_parameters())
    for name, table in _sharded(tower):
        target = whole[name].data
        # the group's first process gathers the shards and tells the others
        first = distributed.get_rank() == 0
        table.gather(0, target if first else None)
        distributed.broadcast(target, 0)
    tower.bags = tables


def train_sharded(module: EncoderModule, batches: Iterable[StepBatch | ListBatch], clip: float = 1.0) -> None:
    """Train on this process' batches; each process has as many.

    A step's loss is the mean of the losses of its processes' batches, as if one process had summed them.

    Parameters
    ----------
    module : EncoderModule
        Its id tower was given to `shard`.
    batches : iterable of StepBatch or ListBatch
    clip : float
        Most norm of the gradients beside those of the tables.
    """
    told = module.configure_optimizers()
    optimizer: torch.optim.Optimizer = told["optimizer"]
    dense = [p for group in optimizer.param_groups if not group.get(ROWWISE) for p in group["params"]]
    (tables,) = (group for group in optimizer.param_groups if group.get(ROWWISE))
    inside: Any = cast(Any, module.ids).bags.fused_optimizer
    for batch in batches:
        for group in inside.param_groups:
            group["lr"] = tables["lr"]
        inside.step()  # hands the rate to the kernels; the tables move in the backward pass
        loss: Any = module.loss(batch)
        loss.backward()
        _average(dense)
        clip_dense(optimizer, clip)
        optimizer.step()
        optimizer.zero_grad()
        told["lr_scheduler"]["scheduler"].step()


def _average(parameters: list[Tensor]) -> None:
    for parameter in parameters:
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        distributed.all_reduce(gradient)
        parameter.grad = gradient / distributed.get_world_size()
