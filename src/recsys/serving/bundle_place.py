"""Which model folder stands at a place, and which one stood there before: exchanged and taken back at once.

A new one is written at ``.<name>.next``, changes names with the one in use, and that becomes
``<name>.previous``. A process that is killed leaves one of the two in use, whole; `clear` makes the rest
good.
"""

import shutil
from pathlib import Path

from recsys.core.artefact import file_sha256
from recsys.core.errors import BundleError
from recsys.core.exchange import aside, exchange
from recsys.serving.bundle import bundle_error, read_manifest

UPON = "upon"  # the hash of the manifest that an update started from


def previous_of(folder: Path) -> Path:
    """Where the folder stands that was in use before."""
    return folder.with_name(f"{folder.name}.previous")


def next_of(folder: Path) -> Path:
    """Where the next one is written."""
    return folder.with_name(f".{folder.name}.next")


def manifest_hash(folder: Path) -> str:
    """What tells one state of a model folder from any other."""
    return file_sha256(folder / "manifest.json")


def put_in_use(folder: Path) -> None:
    """Let the folder at `next_of` take the place of the one in use, which becomes the previous one."""
    exchange(folder, next_of(folder))
    _keep(next_of(folder), folder)


def _keep(old: Path, folder: Path) -> None:
    """Make a folder that was in use the previous one; what was that goes."""
    previous = previous_of(folder)
    if previous.exists():
        exchange(previous, old)
        shutil.rmtree(old)
    else:
        old.rename(previous)


def clear(folder: Path) -> None:
    """Make good what a killed update or rollback left beside a folder."""
    if aside(folder).exists():  # between the renames of an exchange that took several
        if folder.exists():
            _keep(aside(folder), folder)
        else:
            aside(folder).rename(folder)
    if aside(previous_of(folder)).exists():
        shutil.rmtree(aside(previous_of(folder)))
    left = next_of(folder)
    if not left.exists():
        return
    if _stood_before(left, folder):
        _keep(left, folder)
    else:
        shutil.rmtree(left)


def _stood_before(left: Path, folder: Path) -> bool:
    """Whether the folder in use was made upon the one that is left: it was killed before it was kept."""
    try:
        updates = read_manifest(folder)["updates"]
        return bool(updates) and updates[-1].get(UPON) == manifest_hash(left)
    except (BundleError, OSError):
        return False


def roll_back(folder: Path) -> Path:
    """Put the previous model folder in use again; the one in use becomes the previous one.

    Returns
    -------
    Path
        Where the one stands that was in use.

    Raises
    ------
    BundleError
        There is no previous one.
    """
    clear(folder)
    previous = previous_of(folder)
    if not previous.is_dir():
        raise bundle_error(
            f"the model folder {folder}",
            f"{previous.name} beside it, which recsys update leaves",
            "no such folder",
            "There is nothing to go back to.",
        )
    read_manifest(previous)
    exchange(folder, previous)
    return previous
