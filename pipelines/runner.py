"""The stage runner: work once, skip what is there, never leave half an output.

A stage is a function of typed settings and of the folders of the stages before it. Its output folder is
named by a hash of all that it depends on, so an unchanged stage is found rather than repeated, whatever
run asks for it, and a killed run goes on at the first stage that is missing.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import recsys
from recsys.core.progress import working
from recsys.pipelines import atomic, keys, manifest
from recsys.pipelines.lock import held
from recsys.pipelines.measure import measured, rows_of
from recsys.pipelines.missing import refusal
from recsys.tracking.run import NULL_RUN, Run

FACTS = "stage.json"


@dataclass(frozen=True)
class Facts:
    """What a stage says of its own work, beside the tables that it wrote.

    Parameters
    ----------
    rows : mapping
        Rows by table; the parquet files of the output folder are counted without being named.
    saw : mapping
        For each learned thing the windows that it saw ("encoder": "fit").
    metrics : tuple of (name, value, step)
        For the tracker, by epoch where there are epochs.
    artifacts : tuple of str
        Files or folders of the output that belong with the run's record (the report, small tables).
    notes : mapping
        Anything else for the manifest.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    saw: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[tuple[str, float, int], ...] = ()
    artifacts: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One step of the path.

    Parameters
    ----------
    name : str
        As the command line calls it ("train-encoder"); also its folder under work/.
    work : callable
        ``work(inputs, config, out) -> Facts | None``: reads the input folders or files, writes into
        the folder ``out``.
    code : tuple of str
        Packages and modules whose source is this stage's code version; recsys.core always counts.
    resumes : bool
        Whether ``out`` may hold what a broken run of the same key left, to go on from; else it is empty.
    """

    name: str
    work: Callable[[Mapping[str, Path], Any, Path], Facts | None]
    code: tuple[str, ...]
    resumes: bool = False


@dataclass(frozen=True)
class Done:
    """A finished stage: its label in this run, key (hex sha256), folder, and the record in it."""

    label: str
    key: str
    folder: Path
    record: Mapping[str, Any]
    skipped: bool


class Runner:
    """Runs stages into a work folder and gathers them in a run folder.

    Parameters
    ----------
    work_dir : Path
        Where stage outputs are kept: ``<work_dir>/<stage>/<first 16 of the key>``.
    run_dir : Path
        This run's folder: ``stages/<label>`` links and ``manifest.json``. It is made when there is
        something to show: with the first stage or, with ``only``, when that stage is done.
    only : str, optional
        The one stage that may work; stages before it must be there already.
    force : bool
        Repeat stages even where their output is there.
    say : callable
        Receives one line a stage.
    run : Run
        The tracker's parent run; each stage becomes a child.
    hashes : mapping
        Of raw files whose content was hashed before; others are hashed when they are needed.
    """

    def __init__(
        self,
        work_dir: Path,
        run_dir: Path,
        *,
        only: str | None = None,
        force: bool = False,
        say: Callable[[str], None] = print,
        run: Run = NULL_RUN,
        hashes: Mapping[Path, str] | None = None,
    ) -> None:
        self.work_dir, self.run_dir = work_dir.absolute(), run_dir.absolute()
        self.only, self.force, self.say, self.run = only, force, say, run
        self.done: dict[str, Done] = {}
        self.extra: dict[str, Any] = {}
        self._hashes = dict(hashes or {})
        self._earlier = manifest.read_stages(self.run_dir)

    def key(self, stage: Stage, inputs: Mapping[str, Done | Path], config: object) -> str:
        """The hash (hex sha256) of everything that the stage's output depends on."""
        return keys.digest(self._causes(stage, inputs, config))

    def __call__(
        self, stage: Stage, inputs: Mapping[str, Done | Path], config: object, label: str | None = None
    ) -> Done:
        """Run a stage, or find that it has been run.

        Parameters
        ----------
        stage : Stage
            What to do.
        inputs : mapping
            Earlier stages (known by their keys) and raw files or folders (known by their content).
        config : dataclass, or a mapping or tuple of dataclasses
            The stage's settings, which enter its key as `keys.settings` gives them.
        label : str, optional
            The stage's name in this run, where one stage runs more than once.

        Raises
        ------
        DataError
            Where ``only`` names a later stage and this one's output is not there.
        """
        label = label or stage.name
        causes = self._causes(stage, inputs, config)
        key = keys.digest(causes)
        folder = self.work_dir / stage.name / key[:16]
        with held(self._lock(folder), lambda pid: self.say(f"{label}: waiting for process {pid}")):
            complete = (folder / FACTS).is_file()
            skipped = complete and not (self.force and self.only in (None, stage.name))
            if not skipped:
                if self.only not in (None, stage.name):
                    raise refusal(stage.name, str(self.only), causes, folder.parent, FACTS)
                self._work(stage, inputs, config, causes, key, folder)
            record = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        done = Done(label, key, folder, record, skipped)
        self.say(_line(done))
        self._gather(done)
        return done

    def publish(self, source: Path, name: str) -> Path:
        """Put a stage's file or folder into the run folder under a name of its own (hard links)."""
        place = self.run_dir / name
        atomic.publish(source, place)
        return place

    def note(self, **values: Any) -> None:
        """Add entries to the manifest, which is written when a stage is done."""
        self.extra.update(keys.plain(values))  # type: ignore[call-overload]
        if self._gathered:
            manifest.write(self.run_dir, self.extra, self.records())

    def _causes(self, stage: Stage, inputs: Mapping[str, Done | Path], config: object) -> dict[str, Any]:
        return {
            "stage": stage.name,
            "inputs": {
                name: source.key if isinstance(source, Done) else self._hash(source)
                for name, source in inputs.items()
            },
            "config": keys.settings(config),
            "code": keys.code_version(stage.code),
            "version": recsys.__version__,
        }

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:  # a raw table may enter several stages; it is read once
            self._hashes[path] = keys.hash_path(path)
        return self._hashes[path]

    def _lock(self, folder: Path) -> Path:
        return self.work_dir / ".locks" / f"{folder.parent.name}-{folder.name}"

    def _work(
        self,
        stage: Stage,
        inputs: Mapping[str, Done | Path],
        config: object,
        causes: Mapping[str, Any],
        key: str,
        folder: Path,
    ) -> None:
        self._sweep(folder.parent)
        partial = folder.with_name(f".tmp-{folder.name}")
        if self.force or not stage.resumes:
            atomic.remove(partial)
        partial.mkdir(parents=True, exist_ok=True)
        paths = {
            name: source.folder if isinstance(source, Done) else source for name, source in inputs.items()
        }
        started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        try:
            with working(stage.name), measured() as cost:
                facts = stage.work(paths, config, partial) or Facts()
            record = {
                **causes,
                "key": key,
                "started": started,
                "seconds": round(cost.seconds, 3),
                "peak_gib": round(cost.peak_gib, 3),
                "rows": {**rows_of(partial), **facts.rows},
                "saw": dict(facts.saw),
                "metrics": [list(metric) for metric in facts.metrics],
                "artifacts": list(facts.artifacts),
                "notes": keys.plain(facts.notes),
            }
            atomic.write_json(partial / FACTS, record)
            if folder.exists():  # forced, or an output without its record: set aside, then replaced
                old = folder.with_name(f".tmp-old-{folder.name}")
                atomic.remove(old)
                folder.rename(old)
                partial.rename(folder)
                atomic.remove(old)
            else:
                partial.rename(folder)
        except BaseException:
            if not stage.resumes:
                atomic.remove(partial)
            raise

    def _sweep(self, stage_dir: Path) -> None:
        """Remove what killed runs left half done: its lock is free."""
        for partial in stage_dir.glob(".tmp-*"):
            owner = stage_dir / partial.name.removeprefix(".tmp-").removeprefix("old-")
            with held(self._lock(owner)) as free:
                if free:
                    atomic.remove(partial)

    def _gather(self, done: Done) -> None:
        self.done[done.label] = done
        if self._gathered:
            for label, one in self.done.items():
                atomic.link(self.run_dir / "stages" / label, one.folder)
            manifest.write(self.run_dir, self.extra, self.records())
        record = done.record
        with self.run.child(done.label, 0.0 if done.skipped else record["seconds"]) as child:
            child.tags({"stage_key": done.key, "skipped": str(done.skipped).lower()})
            child.params(
                record["config"] if isinstance(record["config"], dict) else {"config": record["config"]}
            )
            costs = {"seconds": record["seconds"], "peak_gib": record["peak_gib"]}
            child.metrics(costs | {f"rows/{name}": count for name, count in record["rows"].items()})
            for name, value, step in record["metrics"]:
                child.metrics({name: value}, step)
            for name in record["artifacts"]:
                child.artifact(done.folder / name)

    @property
    def _gathered(self) -> bool:
        """Whether there is something to show in the run folder: no folder for a refused command."""
        return bool(self.done) and (self.only is None or self.only in self.done)

    def records(self) -> manifest.Records:
        """What each stage of the run folder says of itself, by label."""
        now = {
            label: {**done.record, "folder": str(done.folder), "skipped": done.skipped}
            for label, done in self.done.items()
        }
        return manifest.merged(self._earlier, now)


def _line(done: Done) -> str:
    if done.skipped:
        return f"{done.label}: unchanged, skipped"
    record = done.record
    rows = f"{max(record['rows'].values()):,} rows" if record["rows"] else ""
    return f"{done.label:<16}{record['seconds']:>9.1f} s{rows:>18}{record['peak_gib']:>9.2f} GiB"
