"""The config door: Hydra's nodes come in, frozen dataclasses go out, and nothing unclear passes.

Below this file nobody sees a config dict. An unknown key, a wrong type, a misspelt word and the
string "None" are refused with the full path of the key and the nearest thing that exists.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from recsys.commands import config_groups
from recsys.core.errors import ConfigError
from recsys.pipelines.typed import convert, has_field

T = TypeVar("T")
CONFIG_MODULE = "recsys.conf"


def compose(overrides: Sequence[str] = (), name: str = "config") -> DictConfig:
    """The configuration of a run.

    Parameters
    ----------
    overrides : sequence of str
        Hydra overrides, as typed on the command line ("data=files", "trainer.max_epochs=2").
    name : str
        The file of ``conf/`` to start from.

    Raises
    ------
    ConfigError
        For whatever Hydra does not understand, saying what there is.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module(CONFIG_MODULE, version_base="1.3", job_name="recsys"):
            return hydra_compose(name, overrides=list(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError: Hydra of "=3"
        raise _explain(error, overrides, name) from error


def with_defaults(overrides: Sequence[str], schema: type) -> list[str]:
    """Let settings be given that no file names, because they stand as defaults of the dataclasses.

    Parameters
    ----------
    overrides : sequence of str
    schema : type
        The dataclass of the whole configuration.

    Returns
    -------
    list of str
        Hydra's form for keys that may be new, for those that ``schema`` knows or could know best, and no file
        names.
    """
    base = OmegaConf.to_container(compose([one for one in overrides if _is_choice(one)]))
    named = set(known_keys(base)) - set(_open_mappings(base))

    def settable(override: str) -> str:
        key, equals, _ = override.partition("=")
        absent = bool(equals) and key not in named and not _is_choice(override)
        path = key.split(".")
        # of an unknown key the dataclass above it speaks, which knows more names than the files do
        return f"++{override}" if absent and has_field(schema, path[:-1] or path) else override

    return [settable(one) for one in overrides]


def _open_mappings(node: object, prefix: str = "") -> list[str]:
    """Full paths of the mappings that the files leave empty, for the user to fill."""
    found: list[str] = []
    if isinstance(node, Mapping):
        for key, value in node.items():
            if isinstance(value, Mapping) and not value:
                found.append(f"{prefix}{key}")
            found += _open_mappings(value, f"{prefix}{key}.")
    return found


def _is_choice(override: str) -> bool:
    """Whether an override chooses an option of a group."""
    return override.partition("=")[0] in config_groups()


def to_dataclass(node: object, cls: type[T], path: str = "") -> T:
    """A frozen dataclass out of a node of the configuration.

    Parameters
    ----------
    node : DictConfig or mapping
        The node; keys that it lacks take the dataclass' defaults.
    cls : type
        The dataclass. Its fields may be scalars, Literal, Optional, Path, tuples, lists, dicts and
        dataclasses of these.
    path : str
        What the node is called in the whole configuration; by default what the node says itself.

    Raises
    ------
    ConfigError
        Naming the full path of the key that is unknown, missing, or of the wrong type.
    """
    if isinstance(node, DictConfig):
        path = path or str(node._get_full_key(None) or "")
        try:
            values: object = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
        except MissingMandatoryValue as error:
            key = str(error.full_key or path)
            raise ConfigError(key, expected="a value", found="none", do=f"Give one: {key}=...") from error
        except OmegaConfBaseException as error:
            raise _explain(error, ()) from error
    else:
        values = node
    return cast(T, convert(values, cls, path))


def to_yaml(node: DictConfig) -> str:
    """The configuration as it is shown to people."""
    return OmegaConf.to_yaml(node)


def known_keys(node: object, prefix: str = "") -> list[str]:
    """Full paths of every key below a node."""
    keys: list[str] = []
    if isinstance(node, Mapping):
        for key, value in node.items():
            keys.append(f"{prefix}{key}")
            keys.extend(known_keys(value, f"{prefix}{key}."))
    return keys


def _explain(error: Exception, overrides: Sequence[str], name: str = "config") -> ConfigError:
    """Hydra's and OmegaConf's errors in our form."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return ConfigError(
            f"the override {error.override!r}",
            expected="key=value",
            found="something that Hydra cannot read",
            do="Write key=value, with quotes around values that hold commas, brackets or spaces.",
        )
    if isinstance(error, MissingConfigException):
        return _missing_option(error, overrides)
    if match := re.search(r"Could not override '([^']+)'", text):
        inner = getattr(error.__cause__, "full_key", None)  # where a whole mapping was given, the key in it
        return _unknown_key(str(inner or match[1]), overrides, name)
    if match := re.search(r"Key '([^']+)' is not in struct", text):
        return _unknown_key(str(getattr(error, "full_key", None) or match[1]), overrides, name)
    cause = error.__cause__ or error
    lines = [line.strip() for line in f"{text} {'' if cause is error else cause}".splitlines()]
    return ConfigError(
        "the configuration",
        expected="overrides and files that fit together",
        found=" ".join(line for line in lines if line),
        do="Correct the override or the file that it names.",
    )


def _missing_option(error: MissingConfigException, overrides: Sequence[str]) -> ConfigError:
    name = str(error.missing_cfg_file or "")
    group, _, option = name.rpartition("/")
    options = config_groups().get(group, ())
    if options:
        near = difflib.get_close_matches(option, options, n=1)
        return ConfigError(
            f"{group}={option}",
            expected=f"one of {', '.join(options)}",
            found=f"{option!r}",
            do=f"Did you mean {group}={near[0]}?" if near else "Choose one of these.",
        )
    return ConfigError(
        f"{group or name}",
        expected=f"one of the config groups {', '.join(config_groups())}",
        found=f"{name!r}",
        do="recsys --help lists them with their options.",
    )


def _unknown_key(key: str, overrides: Sequence[str], name: str) -> ConfigError:
    group_choices = [one for one in overrides if one.lstrip("+~").partition("=")[0] in config_groups()]
    try:
        keys = known_keys(OmegaConf.to_container(compose(group_choices, name)))
    except ConfigError:  # the choices themselves are wrong: say no more than we know
        keys = []
    keys.extend(config_groups())
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.6)
    parent = key.rpartition(".")[0]
    siblings = list(dict.fromkeys(one.rpartition(".")[2] for one in keys if one.rpartition(".")[0] == parent))
    there = f"one of {', '.join(siblings)}" if siblings else "a key of the configuration"
    return ConfigError(
        key,
        expected=there,
        found="an unknown key",
        do=f"Did you mean {near[0]}?" if near else "recsys run --cfg shows every key.",
    )
