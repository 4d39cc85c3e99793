"""Outputs appear whole or not at all."""

import json
import os
import shutil
from pathlib import Path

from recsys.core.artefact import link_or_copy


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and rename it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_json(path: Path, value: object) -> None:
    """The same for JSON, with sorted keys and a closing newline."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def link(place: Path, target: Path) -> None:
    """A relative symbolic link at ``place``, replacing the link that was there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".tmp-{os.getpid()}-{place.name}")
    partial.unlink(missing_ok=True)
    partial.symlink_to(os.path.relpath(target.resolve(), place.parent.resolve()))
    partial.replace(place)


def publish(source: Path, place: Path) -> None:
    """Put a file or a folder at ``place`` by hard links (copies across disks), replacing what was there.

    The result stands on its own: it survives when the folder that it came from is removed.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".tmp-{os.getpid()}-{place.name}")
    remove(partial)
    if source.is_dir():
        shutil.copytree(source, partial, copy_function=link_or_copy)
    else:
        link_or_copy(source, partial)
    if place.is_dir() and not place.is_symlink():  # a folder cannot be renamed over a full one
        old = place.with_name(f".old-{os.getpid()}-{place.name}")
        place.rename(old)
        partial.rename(place)
        remove(old)
    else:
        partial.replace(place)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
