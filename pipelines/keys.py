"""What a stage's output depends on, as hashes: raw files, typed settings and code."""

import dataclasses
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache
from pathlib import Path

from recsys.core.errors import ConfigError, DataError

_CHUNK = 1 << 22


def plain(value: object) -> object:
    """Settings as JSON can hold them: dataclasses become dicts, tuples become lists.

    Parameters
    ----------
    value : object
        A dataclass, or dicts, tuples, lists, paths, enums and scalars of any depth.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(
        "a setting",
        expected="numbers, words, lists, dicts and dataclasses",
        found=f"{type(value).__name__}",
        do="A stage's settings must be writable as JSON, or it cannot be known when they change.",
    )


def settings(config: object) -> object:
    """A stage's settings that decide what comes out; how many ``threads`` it works with does not."""
    found = plain(config)
    return {k: v for k, v in found.items() if k != "threads"} if isinstance(found, dict) else found


def canonical(value: object) -> str:
    """One text per meaning: sorted keys, no spaces."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """sha256 (hex) of the canonical text of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def hash_path(path: Path) -> str:
    """blake2b (hex) of a file's content, or of the names and contents of a folder's files.

    The files are streamed; the time of change and the place on the disk do not count.
    """
    if not path.exists():
        raise DataError(str(path), expected="a file or a folder", found="nothing", do="Check the path.")
    total = hashlib.blake2b(digest_size=32)
    if path.is_file():
        _feed(total, path)
        return total.hexdigest()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            part = hashlib.blake2b(digest_size=32)
            _feed(part, file)
            total.update(f"{file.relative_to(path).as_posix()}\0{part.hexdigest()}\n".encode())
    return total.hexdigest()


def _feed(total: "hashlib.blake2b", path: Path) -> None:
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            total.update(chunk)


@cache
def _source_hash(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"the module {module}",
            expected="a module that a stage's code version can be taken of",
            found="no such module",
            do="Correct the stage's list of rooms.",
        )
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(origin.parent).as_posix()}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def code_version(modules: Iterable[str]) -> str:
    """sha256 (hex) of the source of some modules and packages, recsys.core always among them."""
    return digest({module: _source_hash(module) for module in sorted({*modules, "recsys.core"})})
