"""The id part of item vectors: tables of hashed column values, summed and added to the text vector.

``tuned = unit(text vector + sum over columns of short(table[hash(value) mod buckets]))``, where ``short``
keeps the sum below a set length (`IdsConfig.length`). Tables start at zero, so training starts from the
text vectors as they are. A value that no known item has (and a missing one) has no bucket: it adds nothing,
in training and later, and cannot read the row of another value.

The id part is an offset to what the text says, as in collaborative topic regression (Wang and Blei 2011),
and is dropped at random in training, as in DropoutNet (Volkovs et al. 2017), so that an item without it is
nothing new to the towers. Dropping alone does not do: the softmax gains by popularity that ids know, and an
item without ids then stands behind all that are liked. Hence the bound.

``torchrec`` and ``plain`` compute the same numbers; torchrec's tables can also be cut into shards over
several processes (`recsys.encoder.id_shards`). torchrec is imported only when it is asked for.
"""

import importlib.metadata
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys.core.errors import ConfigError, MissingExtraError
from recsys.core.hashing import HASH, hash_values
from recsys.encoder.ids_config import IdsConfig
from recsys.encoder.user_tower import unit

Array = NDArray[Any]
PROVEN = "torch 2.13.0, torchrec 1.8.0 and fbgemm-gpu-cpu 1.8.0"


def import_torchrec() -> Any:
    """The library, or an error that names the versions which work together.

    Raises
    ------
    MissingExtraError
        It is not installed, or does not load beside this torch.
    """
    # of deprecated parts of its own, at the import and at the first use
    logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchrec
    except Exception as error:  # a mismatch is an OSError, an ImportError or a RuntimeError
        found = "; ".join([*map(_installed, ("torch", "torchrec", "fbgemm-gpu-cpu")), str(error).strip()])
        raise MissingExtraError(
            "torchrec",
            "torchrec",
            found=found.partition("\n")[0].rstrip("."),
            do=f"Install versions that fit each other, such as {PROVEN} on a CPU (make test does), or the "
            "extra [torchrec] with CUDA; or set encoder.ids.kind=plain, which gives the same numbers.",
        ) from error
    return torchrec


def _installed(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"


def bucket_counts(config: IdsConfig, columns: Sequence[str]) -> dict[str, int]:
    """Rows of each column's table.

    Raises
    ------
    ConfigError
        ``buckets`` does not name just the columns.
    """
    if isinstance(config.buckets, int):
        return dict.fromkeys(columns, config.buckets)
    if set(config.buckets) != set(columns):
        raise ConfigError(
            "encoder.ids.buckets",
            expected=f"one number, or one for each of {', '.join(columns)}",
            found=", ".join(config.buckets) or "none",
            do="Name the columns that encoder.ids.columns names and items have.",
        )
    return {column: config.buckets[column] for column in columns}


def make_id_tower(
    config: IdsConfig, values: Mapping[str, Sequence[object]] | None, known: Array, dims: int, seed: int
) -> "IdTower | None":
    """The tower that a configuration wants, if any.

    Raises
    ------
    ConfigError
        It wants one, and no values were given.
    """
    if config.kind == "none":
        return None
    if not values:
        raise ConfigError(
            "encoder.ids",
            expected=f"the values of the columns {', '.join(config.columns)}",
            found="none",
            do="Give them (ids=), or set encoder.ids.kind=none.",
        )
    return IdTower(config, values, known, dims, seed)


class IdTower(nn.Module):
    """Tables of hashed values, and the buckets of the catalogue's items.

    Parameters
    ----------
    config : IdsConfig
    values : mapping of column to the value of each item
        Aligned with item codes.
    known : int64 array
        Codes of the items that training may see; values of others have no bucket.
    dims : int
    seed : int
        Of the dropout.
    """

    buckets: Tensor

    def __init__(
        self, config: IdsConfig, values: Mapping[str, Sequence[object]], known: Array, dims: int, seed: int
    ) -> None:
        super().__init__()
        self.config, self.dims, self.seed = config, dims, seed
        self.sizes = bucket_counts(config, list(values))
        self.seen: dict[str, Array] = {}  # by column: hashes of the values of known items, rising
        places = []
        for column, given in values.items():
            hashes, present = hash_values(given)
            self.seen[column] = np.unique(hashes[known][present[known]])
            usable = present & np.isin(hashes, self.seen[column])
            places.append(np.where(usable, self.bucket(column, hashes), -1))
        self.register_buffer("buckets", torch.from_numpy(np.stack(places, 1)), persistent=False)
        with torch.random.fork_rng(devices=[]):  # torchrec draws numbers before it fills in ours
            self.bags = (torchrec_bags if config.kind == "torchrec" else plain_bags)(self.sizes, dims)

    def bucket(self, column: str, hashes: Array) -> Array:
        """The row of each hash in a column's table: int64."""
        return (hashes % np.uint64(self.sizes[column])).astype(np.int64)

    def part(self, buckets: Tensor) -> Tensor:
        """Sum over columns of the rows of some buckets, -1 for none: (items, columns) to (items, dims)."""
        present = buckets.T >= 0
        values, lengths = buckets.T[present], present.to(torch.int64)
        if self.config.kind == "torchrec":
            from torchrec import KeyedJaggedTensor

            jagged = KeyedJaggedTensor(keys=list(self.sizes), values=values, lengths=lengths.flatten())
            pooled = self.bags(jagged)
            columns = [pooled[column] for column in self.sizes]
        else:
            starts = torch.cumsum(lengths, 1) - lengths
            parts = torch.split(values, lengths.sum(1).tolist())
            columns = [
                self._bag(column)(part, start)
                for column, part, start in zip(self.sizes, parts, starts, strict=True)
            ]
        return torch.stack([self.short(column) for column in columns]).sum(0)

    def short(self, rows: Tensor) -> Tensor:
        """Rows of a column's table as they count: below the column's share of ``encoder.ids.length``."""
        most = self.config.length / len(self.sizes)
        return rows / (1 + rows.square().sum(-1, keepdim=True) / most**2).sqrt()

    def forward(
        self, text: Tensor, items: Tensor | None = None, step: tuple[int, int] | None = None
    ) -> Tensor:
        """Item vectors from text vectors.

        Parameters
        ----------
        text : Tensor, shape (items, dims)
        items : int64 tensor, shape (items,), optional
            Their codes; the whole catalogue by default.
        step : (int, int), optional
            Epoch and step of a training, in which some items go without their id part. The draw depends
            on the step and the seed alone, so that a training that goes on draws as it would have.
        """
        buckets = self.buckets if items is None else self.buckets[items]
        if step is not None and self.config.dropout:
            drawn = np.random.default_rng((self.seed, *step)).random(len(buckets))
            dropped = torch.from_numpy(drawn < self.config.dropout).to(buckets.device)
            buckets = buckets.masked_fill(dropped.unsqueeze(1), -1)
        return unit(text + self.part(buckets))

    def _bag(self, column: str) -> Any:
        return cast(Any, self.bags).embedding_bags[_key(column)]

    def tables(self) -> dict[str, nn.Parameter]:
        """The table of each column, shape (buckets, dims)."""
        return {column: self._bag(column).weight for column in self.sizes}

    def manifest(self) -> dict[str, Any]:
        """What those who read the arrays must know of them."""
        return {"columns": list(self.sizes), "buckets": dict(self.sizes), "hash": HASH}

    def arrays(self) -> dict[str, Array]:
        """What `recsys.interest.ids` reads: hashes of the values that training knew, and their vectors."""
        out: dict[str, Array] = {}
        for column, table in self.tables().items():
            rows = self.short(table.detach().cpu()[self.bucket(column, self.seen[column])])
            out |= {f"keys/{column}": self.seen[column], f"vectors/{column}": rows.numpy()}
        return out


def _key(column: str) -> str:
    """A column as a module may be called."""
    return column.replace(".", "/")


def plain_bags(sizes: Mapping[str, int], dims: int) -> nn.Module:
    """Tables of zeros, by the names that torchrec's collection gives them."""
    bags = nn.ModuleDict()
    for column, size in sizes.items():
        weight = torch.zeros(size, dims)
        bags[_key(column)] = nn.EmbeddingBag(size, dims, mode="sum", sparse=True, _weight=weight)
    return nn.ModuleDict({"embedding_bags": bags})


def torchrec_bags(sizes: Mapping[str, int], dims: int) -> nn.Module:
    """The same tables as an ``EmbeddingBagCollection``."""
    torchrec = import_torchrec()
    configs = [
        torchrec.EmbeddingBagConfig(
            name=_key(column),
            embedding_dim=dims,
            num_embeddings=size,
            feature_names=[column],
            pooling=torchrec.PoolingType.SUM,
            init_fn=nn.init.zeros_,
        )
        for column, size in sizes.items()
    ]
    bags: nn.Module = torchrec.EmbeddingBagCollection(tables=configs, device=torch.device("cpu"))
    for bag in cast(Any, bags).embedding_bags.values():
        bag.sparse = True  # gradients of the rows of a step, not of whole tables
    return bags
