"""Write the model folder in one go: beside its place, then moved there."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import recsys
from recsys.candidates.sources import CandidatesConfig
from recsys.core.artefact import file_sha256, link_or_copy
from recsys.core.codes import Codes
from recsys.core.log import save_arrays
from recsys.features.attributes import Attributes
from recsys.interest.ids import IDS
from recsys.interest.text import GRAPH, TABLE, TOKENIZER, read_manifest
from recsys.interest.text import MANIFEST as TEXT_MANIFEST
from recsys.interest.vectors import Vectors, save_vectors
from recsys.ranking.first_stage import SelectConfig
from recsys.ranking.linear import Linear
from recsys.ranking.probability import Probabilities
from recsys.ranking.rules import RulesConfig
from recsys.ranking.trees import Trees
from recsys.serving.bundle import FIRST_STAGE_FILE, FORMAT, check_trees
from recsys.state.store import State

Array = NDArray[Any]
TEXT_FILES = (TEXT_MANIFEST, GRAPH, TABLE, TOKENIZER, "user_tower.npz", IDS)  # its checkpoint stays behind


@dataclass(frozen=True)
class BundleParts:
    """What a bundle is made of.

    Parameters
    ----------
    users, items : Codes
    state : State
        As of the end of the log; it carries the item table.
    state_time : int
        Microseconds: the latest event that the state has seen.
    trees : str
        LightGBM's model text.
    columns : tuple of str
        The reranker's columns in its order.
    popular : pair of arrays
        The popular list at the last tick: codes int32 and scores float32, best first.
    reranker : mapping
        What else the reranker says of itself; becomes ``ranker/reranker.json``.
    vectors : Vectors, optional
    encoder : Path, optional
        The trained encoder's folder, with the user tower and, where it exported, the text tower; goes
        with ``vectors``. Its files are hard-linked where possible.
    text_columns : tuple of str
        The item columns that make up a text, in order.
    item_attributes, user_attributes : Attributes
    candidates : CandidatesConfig
    select : SelectConfig
    first_stage : Linear, optional
        What orders the pool where ``select.by`` says so; becomes ``ranker/first_stage.json``.
    windows : mapping of part to the window it learned from
    labels : mapping of label name to its gain
    model : str
        Written into recommendations.
    """

    users: Codes
    items: Codes
    state: State
    state_time: int
    trees: str
    columns: tuple[str, ...]
    popular: tuple[Array, Array]
    reranker: Mapping[str, Any] = field(default_factory=dict)
    vectors: Vectors | None = None
    encoder: Path | None = None
    text_columns: tuple[str, ...] = ()
    item_attributes: Attributes = field(default_factory=Attributes)
    user_attributes: Attributes = field(default_factory=Attributes)
    candidates: CandidatesConfig = field(default_factory=CandidatesConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    rules: RulesConfig = field(default_factory=RulesConfig)
    first_stage: Linear | None = None
    probabilities: Probabilities | None = None
    windows: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, float] = field(default_factory=dict)
    model: str = "full"


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in paths
    }


def _write_attributes(parts: BundleParts, folder: Path) -> dict[str, Any]:
    tables = {"item": parts.item_attributes, "user": parts.user_attributes}
    values = [np.asarray(table.values, np.float32) for table in tables.values()]
    save_arrays(values, list(tables), folder)
    return {
        name: {
            "names": list(table.names),
            "vocabularies": {column: list(words) for column, words in table.vocabularies.items()},
        }
        for name, table in tables.items()
    }


def _write_texts(vectors: Vectors, encoder: Path, folder: Path) -> str:
    save_vectors(vectors, folder / "vectors")
    (folder / "text").mkdir()
    for name in TEXT_FILES:
        if (encoder / name).is_file():
            link_or_copy(encoder / name, folder / "text" / name)
    return str(read_manifest(encoder)["engine"])


def _write_parts(parts: BundleParts, folder: Path) -> None:
    parts.users.save(folder / "codes" / "users")
    parts.items.save(folder / "codes" / "items")
    parts.state.save(folder / "state")
    attributes = _write_attributes(parts, folder / "attributes")
    engine = "none"
    if parts.vectors is not None and parts.encoder is not None:
        engine = _write_texts(parts.vectors, parts.encoder, folder)
    (folder / "ranker").mkdir()
    (folder / "ranker" / "model.txt").write_text(parts.trees, encoding="utf-8")
    _write_json(folder / "ranker" / "reranker.json", dict(parts.reranker))
    if parts.first_stage is not None:
        _write_json(folder / "ranker" / FIRST_STAGE_FILE, parts.first_stage.as_json())
    if parts.probabilities is not None:
        parts.probabilities.save(folder / "ranker")
    popular = [np.asarray(parts.popular[0], np.int32), np.asarray(parts.popular[1], np.float32)]
    save_arrays(popular, ["popular_items", "popular_scores"], folder / "candidates")
    manifest = {
        "format": FORMAT,
        "recsys": recsys.__version__,
        "model": parts.model,
        "engine": engine,
        "clock": parts.state.clock,
        "columns": list(parts.columns),
        "text_columns": list(parts.text_columns),
        "labels": dict(parts.labels),
        "windows": dict(parts.windows),
        "state": {"position": parts.state.position, "time_us": int(parts.state_time)},
        "users": len(parts.users),
        "items": len(parts.items),
        "attributes": attributes,
        "candidates": asdict(parts.candidates),
        "select": asdict(parts.select),
        "rules": asdict(parts.rules),
        "files": _files(folder),
    }
    _write_json(folder / "manifest.json", manifest)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_bundle(folder: str | Path, parts: BundleParts) -> Path:
    """Write a bundle beside ``folder`` and move it there at the end; an older one is replaced.

    Parameters
    ----------
    folder : path
    parts : BundleParts

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BundleError
        Where the trees and the columns do not fit together.
    """
    folder = Path(folder)
    check_trees(Trees.parse(parts.trees), parts.columns)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        _write_parts(parts, fresh)
        if folder.exists():
            folder.rename(Path(scratch) / "old")  # goes with the scratch folder
        fresh.rename(folder)
    return folder
