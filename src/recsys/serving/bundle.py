"""The model folder: everything that ranking needs, written at once and mapped, never unpickled.

``model/``: ``manifest.json``, ``codes/`` (users, items, categories, brands), ``attributes/`` (free columns),
``state/`` (with the item table), ``vectors/`` and ``text/`` (user tower; where there are such the exported
text tower and the id vectors) if texts were encoded, ``ranker/`` (trees as LightGBM text, the linear
first stage and the probabilities where there are such), ``candidates/`` (the popular list at the last tick,
and the counts that an update goes on with).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from recsys.candidates.sources import CandidatesConfig
from recsys.core.artefact import file_sha256, fit_array, read_array, read_json, reading, require
from recsys.core.codes import Codes
from recsys.core.errors import BundleError
from recsys.features.attributes import Attributes
from recsys.interest.ids import IDS, IdVectors, load_ids
from recsys.interest.text import can_encode
from recsys.interest.user import UserTower, load_user_tower
from recsys.interest.vectors import Vectors, load_vectors
from recsys.ranking.first_stage import SelectConfig
from recsys.ranking.linear import Linear
from recsys.ranking.probability import Probabilities
from recsys.ranking.rules import RulesConfig
from recsys.ranking.trees import Trees
from recsys.state.store import State

Array = NDArray[Any]
FIRST_STAGE_FILE = "first_stage.json"
NEEDED = {
    "files": dict,
    "clock": bool,
    "columns": list,
    "engine": str,
    "attributes": dict,
    "state": dict,
    "text_columns": list,
    "candidates": dict,
    "select": dict,
    "rules": dict,
    "model": str,
    "users": int,
    "items": int,
    "updates": list,
}
POPULARITY = "candidates/popularity"
LEARNED = ("ranker/", "text/")  # what an update leaves alone
ITEM_KEYS = "vectors/keys.npy"  # what each item's vectors came from: an update encodes what differs
FORMAT = 3  # of the folder; raise it when an old reader or an old folder would go wrong


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle; arrays are mapped copy-on-write, so processes share the pages they only read."""

    folder: Path
    manifest: Mapping[str, Any]
    users: Codes
    items: Codes
    state: State
    state_time: int  # microseconds: the latest event that the state has seen
    trees: Trees
    columns: tuple[str, ...]
    popular: tuple[Array, Array]
    clock: bool
    vectors: Vectors | None
    tower: UserTower | None
    text: Path | None  # the exported text tower, where new texts can be encoded
    ids: IdVectors | None  # what the values of a new item's columns add to its text
    text_columns: tuple[str, ...]
    item_attributes: Attributes
    user_attributes: Attributes
    candidates: CandidatesConfig
    select: SelectConfig
    first_stage: Linear | None  # what orders the pool, where select.by says so
    rules: RulesConfig  # of the lists that are given
    probabilities: Probabilities | None  # of a click and of a purchase, where learned and asked for

    @classmethod
    def load(cls, folder: str | Path, *, verify: bool = False, chances: bool = True) -> "Bundle":
        """Map a bundle.

        Where the folder is exchanged for another while it is read, the other one is read.

        Parameters
        ----------
        folder : path
        verify : bool
            Also compare every file with the hash in the manifest; sizes are always compared.
        chances : bool
            Load the probabilities; without, only where the rules order by value, which needs them.

        Raises
        ------
        BundleError
            For a missing or damaged file, or a folder of another format.
        """
        place = Path(folder) / "manifest.json"
        while True:
            stood = _identity(place)
            try:
                bundle = _load(Path(folder), verify, chances)
            except BundleError:
                if stood == _identity(place):
                    raise
                continue
            if stood == _identity(place):
                return bundle


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at a path; a folder that takes another's place brings its own."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def bundle_error(
    what: str, expected: str, found: str, do: str = "Build the model folder again."
) -> BundleError:
    """The error of a model folder."""
    return BundleError(what, expected=expected, found=found, do=do)


def _read_attributes(manifest: Mapping[str, Any], of: str, folder: Path) -> Attributes:
    with reading(folder / "manifest.json", f"names and vocabularies under 'attributes', {of!r}"):
        entry = manifest["attributes"][of]
        names, vocabularies = tuple(entry["names"]), dict(entry["vocabularies"])
    path = folder / "attributes" / f"{of}.npy"
    return Attributes(names, read_array(path, "float32", (None, len(names))), vocabularies)


def _read_popular(folder: Path) -> tuple[Array, Array]:
    items = read_array(folder / "popular_items.npy", "int32", (None,))
    return items, read_array(folder / "popular_scores.npy", "float32", (len(items),))


def _read_first_stage(path: Path) -> Linear | None:
    if not path.is_file():
        return None
    given = read_json(path)
    with reading(path, "columns, mean, scale and weight of equal length"):
        return Linear.from_json(given)


def _read_probabilities(folder: Path, columns: tuple[str, ...]) -> Probabilities | None:
    found = Probabilities.load(folder)
    if found is not None and found.columns != columns:
        raise bundle_error(
            f"the probabilities in {folder}", "the columns of the bundle's trees", ", ".join(found.columns)
        )
    return found


def _rules(told: Mapping[str, Any]) -> RulesConfig:
    """From JSON, which has lists for tuples."""
    fields: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in told.items()}
    return RulesConfig(**fields)


def check_trees(trees: Trees, columns: tuple[str, ...]) -> None:
    """Refuse trees that do not take the columns."""
    if len(trees.features) != len(columns):
        raise bundle_error(
            "the bundle's trees",
            f"one feature for each of its {len(columns)} columns",
            f"{len(trees.features)} features",
        )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a model folder; ``BundleError`` where there is none of this format."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise bundle_error(
            f"the model folder {folder}",
            "a file manifest.json",
            "none" if folder.is_dir() else "no such folder",
            "Give the folder model/ of a run.",
        )
    manifest = read_json(path)
    if manifest.get("format") != FORMAT:
        raise bundle_error(
            f"the model folder {folder}",
            f"format {FORMAT}",
            f"format {manifest.get('format')} (written by recsys {manifest.get('recsys')})",
            "Build it again with this version of recsys, or load it with that one.",
        )
    require(manifest, path, NEEDED)
    require(manifest["state"], path, {"time_us": int})
    for name, entry in manifest["files"].items():
        with reading(path, f"bytes and sha256 of the file {name}"):
            require(entry, path, {"bytes": int, "sha256": str})
    return manifest


def _check_files(folder: Path, files: Mapping[str, Mapping[str, Any]], verify: bool) -> None:
    for name, entry in files.items():
        path = folder / name
        if not path.is_file():
            raise bundle_error(f"the model folder {folder}", f"the file {name}", "no such file")
        what, size = f"{name} in the model folder {folder}", path.stat().st_size
        if size != entry["bytes"]:
            raise bundle_error(what, f"{entry['bytes']} bytes", f"{size} bytes")
        if verify and file_sha256(path) != entry["sha256"]:
            raise bundle_error(what, "the hash in the manifest", "another one")


def _load(folder: Path, verify: bool, chances: bool) -> Bundle:
    manifest = read_manifest(folder)
    _check_files(folder, manifest["files"], verify)
    clock = bool(manifest["clock"])
    trees = Trees.parse((folder / "ranker" / "model.txt").read_text(encoding="utf-8"))
    columns = tuple(manifest["columns"])
    check_trees(trees, columns)
    encoded, text = manifest["engine"] != "none", folder / "text"
    vectors = load_vectors(folder / "vectors") if encoded else None
    tower = load_user_tower(text, clock) if encoded else None
    ids = load_ids(text) if encoded else None
    if vectors is not None and tower is not None:
        what, dims = str(folder / "vectors" / "tuned.npy"), tower.query.shape[1]
        fit_array(vectors.tuned, what, None, (None, dims))
        if ids is not None:
            fit_array(ids.vectors[0], str(text / IDS), None, (None, dims))
    with reading(
        folder / "manifest.json",
        "settings of this version of recsys under 'candidates', 'select' and 'rules'",
    ):
        rules = _rules(manifest["rules"])
        candidates, select = CandidatesConfig(**manifest["candidates"]), SelectConfig(**manifest["select"])
    users, items = (Codes.load(folder / "codes" / name) for name in ("users", "items"))
    state = State.load(folder / "state")
    fit_array(state.items.category, str(folder / "state" / "items"), None, (len(items),))
    needed = chances or rules.order_by == "value"
    return Bundle(
        folder=folder,
        manifest=manifest,
        users=users,
        items=items,
        state=state,
        state_time=int(manifest["state"]["time_us"]),
        trees=trees,
        columns=columns,
        popular=_read_popular(folder / "candidates"),
        clock=clock,
        vectors=vectors,
        tower=tower,
        text=text if encoded and can_encode(text) else None,
        ids=ids,
        text_columns=tuple(manifest["text_columns"]),
        item_attributes=_read_attributes(manifest, "item", folder),
        user_attributes=_read_attributes(manifest, "user", folder),
        candidates=candidates,
        select=select,
        first_stage=_read_first_stage(folder / "ranker" / FIRST_STAGE_FILE),
        rules=rules,
        probabilities=_read_probabilities(folder / "ranker", columns) if needed else None,
    )
