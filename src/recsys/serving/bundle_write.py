"""Write the model folder in one go: beside its place, then moved there."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import recsys
from recsys.candidates.sources import CandidatesConfig
from recsys.core.artefact import file_sha256, link_or_copy
from recsys.core.content_keys import KEY
from recsys.core.log import save_arrays
from recsys.interest.ids import IDS
from recsys.interest.text import GRAPH, TABLE, TOKENIZER, read_manifest
from recsys.interest.text import MANIFEST as TEXT_MANIFEST
from recsys.interest.vectors import save_vectors
from recsys.ranking.first_stage import SelectConfig
from recsys.ranking.linear import Linear
from recsys.ranking.probability import Probabilities
from recsys.ranking.rules import RulesConfig
from recsys.ranking.trees import Trees
from recsys.serving.bundle import (
    FIRST_STAGE_FILE,
    FORMAT,
    ITEM_KEYS,
    LEARNED,
    POPULARITY,
    Bundle,
    check_trees,
)
from recsys.serving.known import Known

TEXT_FILES = (TEXT_MANIFEST, GRAPH, TABLE, TOKENIZER, "user_tower.npz", IDS)  # its checkpoint stays behind


@dataclass(frozen=True, kw_only=True)
class BundleParts(Known):
    """What a bundle is made of: what it knows, and what was learned.

    Parameters
    ----------
    trees : str
        LightGBM's model text.
    columns : tuple of str
        The reranker's columns in its order.
    reranker : mapping
        What else the reranker says of itself; becomes ``ranker/reranker.json``.
    encoder : Path, optional
        The trained encoder's folder, with the user tower and, where it exported, the text tower; goes
        with ``vectors``. Its files are hard-linked where possible.
    text_columns : tuple of str
        The item columns that make up a text, in order.
    candidates : CandidatesConfig
    select : SelectConfig
    first_stage : Linear, optional
        What orders the pool where ``select.by`` says so; becomes ``ranker/first_stage.json``.
    windows : mapping of part to the window it learned from
    labels : mapping of label name to its gain
    model : str
        Written into recommendations.
    """

    trees: str
    columns: tuple[str, ...]
    reranker: Mapping[str, Any] = field(default_factory=dict)
    encoder: Path | None = None
    text_columns: tuple[str, ...] = ()
    candidates: CandidatesConfig = field(default_factory=CandidatesConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    rules: RulesConfig = field(default_factory=RulesConfig)
    first_stage: Linear | None = None
    probabilities: Probabilities | None = None
    windows: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, float] = field(default_factory=dict)
    model: str = "full"


def _files(folder: Path, linked: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes and hashes of a folder's files; those that were linked have the hashes that they had."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    return {
        name: linked.get(name) or {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for name, path in zip(names, paths, strict=True)
    }


def _write_attributes(known: Known, folder: Path) -> dict[str, Any]:
    tables = {"item": known.item_attributes, "user": known.user_attributes}
    values = [np.asarray(table.values, np.float32) for table in tables.values()]
    save_arrays(values, list(tables), folder)
    return {
        name: {
            "names": list(table.names),
            "vocabularies": {column: list(words) for column, words in table.vocabularies.items()},
        }
        for name, table in tables.items()
    }


def _write_known(known: Known, folder: Path) -> dict[str, Any]:
    """Write what grows, vectors only where none were linked; what the manifest says of it."""
    for name in ("users", "items", "categories", "brands"):
        getattr(known, name).save(folder / "codes" / name)
    known.state.save(folder / "state")
    if known.vectors is not None and not (folder / "vectors").exists():
        assert known.item_keys is not None, "vectors go with the keys of what they came from"
        save_vectors(known.vectors, folder / "vectors")
        np.save(folder / ITEM_KEYS, np.asarray(known.item_keys, KEY), allow_pickle=False)
    codes, scores = known.popular
    popular = [np.asarray(codes, np.int32), np.asarray(scores, np.float32)]
    save_arrays(popular, ["popular_items", "popular_scores"], folder / "candidates")
    known.popularity.save(folder / POPULARITY)
    return {
        "state": {"position": known.state.position, "time_us": int(known.state_time)},
        "users": len(known.users),
        "items": len(known.items),
        "attributes": _write_attributes(known, folder / "attributes"),
    }


def _write_texts(encoder: Path, folder: Path) -> str:
    """Link what encodes texts and users; the engine of the text tower."""
    folder.mkdir(parents=True)
    for name in TEXT_FILES:
        if (encoder / name).is_file():
            link_or_copy(encoder / name, folder / name)
    return str(read_manifest(encoder)["engine"])


def _write_learned(parts: BundleParts, folder: Path) -> str:
    """Write what an update leaves alone; the engine of the text tower."""
    engine = "none"
    if parts.vectors is not None and parts.encoder is not None:
        engine = _write_texts(parts.encoder, folder / "text")
    (folder / "ranker").mkdir()
    (folder / "ranker" / "model.txt").write_text(parts.trees, encoding="utf-8")
    _write_json(folder / "ranker" / "reranker.json", dict(parts.reranker))
    if parts.first_stage is not None:
        _write_json(folder / "ranker" / FIRST_STAGE_FILE, parts.first_stage.as_json())
    if parts.probabilities is not None:
        parts.probabilities.save(folder / "ranker")
    return engine


def _write_parts(parts: BundleParts, folder: Path) -> None:
    manifest = {
        "format": FORMAT,
        "recsys": recsys.__version__,
        "model": parts.model,
        "engine": _write_learned(parts, folder),
        "clock": parts.state.clock,
        "columns": list(parts.columns),
        "text_columns": list(parts.text_columns),
        "labels": dict(parts.labels),
        "windows": dict(parts.windows),
        **_write_known(parts, folder),
        "candidates": asdict(parts.candidates),
        "select": asdict(parts.select),
        "rules": asdict(parts.rules),
        "updates": [],
        "files": _files(folder, {}),
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


def write_updated(bundle: Bundle, known: Known, update: Mapping[str, Any], folder: Path) -> None:
    """Write a loaded bundle that knows more: what stays the same is hard-linked, the rest is written anew.

    Parameters
    ----------
    bundle : Bundle
    known : Known
    update : mapping
        What the manifest says of it; joins the earlier ones under ``updates``.
    folder : Path
        Not there yet; it is whole once its manifest is there.
    """
    same = ("vectors/",) if known.vectors is bundle.vectors else ()
    files = bundle.manifest["files"]
    linked = {name: entry for name, entry in files.items() if name.startswith((*LEARNED, *same))}
    folder.mkdir()
    for name in linked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(bundle.folder / name, folder / name)
    manifest = {
        **bundle.manifest,
        "recsys": recsys.__version__,
        **_write_known(known, folder),
        "updates": [*bundle.manifest["updates"], dict(update)],
        "files": _files(folder, linked),
    }
    _write_json(folder / "manifest.json", manifest)
