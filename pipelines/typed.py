"""Plain values into frozen dataclasses, field by field, by the types that the fields declare."""

import dataclasses
import difflib
import keyword
import math
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from recsys.core.errors import ConfigError, RecsysError


def convert(value: object, kind: Any, path: str) -> Any:
    """``value`` as the type ``kind``, or a ConfigError that names ``path``.

    An integer is a fine float, but nothing else is changed in kind: no number from a word, no word
    from a number, no truth value from a number.
    """
    if value == "None" and isinstance(value, str):
        raise ConfigError(
            path, expected=_words(kind), found='the string "None"', do="Write null for no value."
        )
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return value
    if origin is Literal:
        return _literal(value, get_args(kind), path)
    if origin in (Union, types.UnionType):
        return _union(value, get_args(kind), path)
    if dataclasses.is_dataclass(kind):
        return _dataclass(value, kind, path)
    if origin in (tuple, list) or kind in (tuple, list):
        return _sequence(value, kind, path)
    if (isinstance(origin, type) and issubclass(origin, Mapping)) or kind is dict:
        return _mapping(value, get_args(kind) or (str, Any), path)
    return _scalar(value, kind, path)


def has_field(kind: Any, path: Sequence[str]) -> bool:
    """Whether a dotted path leads to a field of a dataclass, or into one of its mappings."""
    if not path:
        return True
    if dataclasses.is_dataclass(kind):
        hints = {_key(name): hint for name, hint in get_type_hints(kind).items()}
        return path[0] in hints and has_field(hints[path[0]], path[1:])
    origin = get_origin(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return has_field(get_args(kind)[1], path[1:])
    return False


def _dataclass(value: object, cls: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(value, cls, path)
    hints = {_key(name): hint for name, hint in get_type_hints(cls).items()}
    fields = {_key(field.name): field for field in dataclasses.fields(cls) if field.init}
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            raise ConfigError(
                _join(path, key),
                expected=f"one of {', '.join(fields)}",
                found="an unknown key",
                do=f"Did you mean {_join(path, near[0])}?" if near else "Remove it.",
            )
    given = {str(key): convert(item, hints[str(key)], _join(path, key)) for key, item in value.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in given:
            key = _join(path, name)
            raise ConfigError(key, expected=_words(hints[name]), found="nothing", do=f"Give one: {key}=...")
    try:
        return cls(**{fields[key].name: item for key, item in given.items()})
    except RecsysError:
        raise
    except ValueError as error:  # the dataclass' own check of its values
        raise ConfigError(
            path or cls.__name__, expected="values that work together", found=str(error), do="Correct them."
        ) from error


def _key(field: str) -> str:
    """What a field is called in the configuration: ``from_`` is the key "from"."""
    bare = field.removesuffix("_")
    return bare if keyword.iskeyword(bare) else field


def _literal(value: object, choices: tuple[object, ...], path: str) -> object:
    for choice in choices:  # True == 1, hence the types
        if type(choice) is type(value) and choice == value:
            return value
    near = difflib.get_close_matches(str(value), [str(choice) for choice in choices], n=1)
    raise ConfigError(
        path,
        expected=f"one of {', '.join(str(choice) for choice in choices)}",
        found=repr(value),
        do=f"Did you mean {path}={near[0]}?" if near else "Choose one of these.",
    )


def _union(value: object, kinds: tuple[Any, ...], path: str) -> Any:
    if value is None:
        if types.NoneType in kinds:
            return None
        raise _wrong(value, Union[kinds], path)  # noqa: UP007 - built at run time
    rest = [kind for kind in kinds if kind is not types.NoneType]
    if len(rest) == 1:
        return convert(value, rest[0], path)
    exact = [kind for kind in rest if isinstance(kind, type) and type(value) is kind]
    chosen = exact or _meant(value, rest) or rest
    if len(chosen) == 1:
        return convert(value, chosen[0], path)
    for kind in chosen:
        try:
            return convert(value, kind, path)
        except ConfigError:
            continue
    raise _wrong(value, Union[kinds], path)  # noqa: UP007


def _meant(value: object, kinds: list[Any]) -> list[Any]:
    """The dataclasses whose fixed words (kind: Literal["counts"]) agree with what is given."""
    if not isinstance(value, Mapping):
        return []
    meant = []
    for kind in kinds:
        if dataclasses.is_dataclass(kind):
            hints = get_type_hints(kind)
            words = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
            if words and all(value[name] in choices for name, choices in words.items() if name in value):
                meant.append(kind)
    return meant


def _sequence(value: object, kind: Any, path: str) -> Any:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _wrong(value, kind, path)
    container = get_origin(kind) or kind
    parts = get_args(kind)
    if container is list or not parts or (len(parts) == 2 and parts[1] is Ellipsis):
        part = parts[0] if parts else Any
        return container(convert(item, part, f"{path}[{i}]") for i, item in enumerate(value))
    if len(parts) != len(value):
        raise ConfigError(
            path, expected=f"{len(parts)} values", found=f"{len(value)} values", do="Give as many."
        )
    pairs = zip(value, parts, strict=True)
    return tuple(convert(item, part, f"{path}[{i}]") for i, (item, part) in enumerate(pairs))


def _mapping(value: object, parts: tuple[Any, ...], path: str) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(value, dict, path)
    return {
        convert(key, parts[0], _join(path, key)): convert(item, parts[1], _join(path, key))
        for key, item in value.items()
    }


def _scalar(value: object, kind: Any, path: str) -> Any:
    if kind is types.NoneType or kind is None:
        if value is None:
            return None
    elif kind is float:
        if isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
            return float(value)
    elif kind is Path:
        if isinstance(value, str | Path):
            return Path(value)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        by_value = {str(member.value): member for member in kind}
        return by_value[str(_literal(str(value), tuple(by_value), path))]
    elif isinstance(kind, type) and type(value) is kind:
        return value
    raise _wrong(value, kind, path)


def _wrong(value: object, kind: Any, path: str) -> ConfigError:
    found = "null" if value is None else f"{_article(type(value).__name__)}, {value!r}"
    return ConfigError(path, expected=_words(kind), found=found, do=f"Correct {path or 'the configuration'}.")


_NAMES: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    str: "a word",
    bool: "true or false",
    Path: "a path",
    types.NoneType: "null",
}


def _words(kind: Any) -> str:
    """A type as people say it."""
    origin = get_origin(kind)
    if kind in _NAMES:
        return _NAMES[kind]
    if origin is Literal:
        return f"one of {', '.join(str(choice) for choice in get_args(kind))}"
    if origin in (Union, types.UnionType):
        return " or ".join(_words(part) for part in get_args(kind))
    if origin in (tuple, list) or kind in (tuple, list):
        return "a list"
    if dataclasses.is_dataclass(kind):
        return f"the keys {', '.join(field.name for field in dataclasses.fields(kind))}"
    return "a mapping" if origin is not None or kind is dict else str(getattr(kind, "__name__", kind))


def _article(name: str) -> str:
    return {"str": "a word", "int": "an integer", "float": "a number", "bool": "a truth value"}.get(
        name, f"a {name}"
    )


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
