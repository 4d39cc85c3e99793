"""The whole path, or one stage of it, as a command; and what a run folder shows at the end."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from recsys.core.progress import working
from recsys.evaluation.report import stage_table, with_stages
from recsys.evaluation.summary import recall_lines, summary
from recsys.pipelines import atomic, bundle, evaluate, score
from recsys.pipelines.opening import opened
from recsys.pipelines.path import walk
from recsys.pipelines.runner import Done, Runner
from recsys.pipelines.settings import RunConfig
from recsys.serving.bundle import read_manifest
from recsys.tracking.run import look

SHOWN = {"report": evaluate.REPORT, "recommendations": score.RECOMMENDATIONS, "model": bundle.MODEL}


def main(overrides: Sequence[str], only: str | None = None) -> int:
    """The command ``recsys run``, or with ``only`` that of a single stage."""
    with opened(overrides, only) as (runner, config):
        done = walk(runner, config, only)
        publish(runner, done)
        log_model(runner, done, config.tracking.copy_limit_mib)
    say(runner, config)
    return 0


def publish(runner: Runner, done: dict[str, Done]) -> None:
    """Put what people look for at the top of the run folder."""
    wanted = {
        "evaluate": (evaluate.PREDICTIONS, evaluate.METRICS, evaluate.PER_REQUEST),
        "bundle": (bundle.MODEL,),
        "score": (score.RECOMMENDATIONS,),
    }
    for stage, names in wanted.items():
        if stage in done:
            for name in names:
                if name == bundle.MODEL and done[stage].skipped and _updated(runner.run_dir / name):
                    print(f"{name}/ was updated since it was built, and stays (force=true builds it anew)")
                    continue
                runner.publish(done[stage].folder / name, name)
    if "evaluate" in done:  # the report is made before the last stages, so their cost enters here
        place = runner.run_dir / evaluate.REPORT
        text = (done["evaluate"].folder / evaluate.REPORT).read_text(encoding="utf-8")
        atomic.write_text(place, with_stages(text, stage_table(runner.records())))
        runner.run.artifact(place)


def _updated(model: Path) -> bool:
    """Whether a run's model folder knows more than its stage left there."""
    return (model / "manifest.json").is_file() and bool(read_manifest(model)["updates"])


def log_model(runner: Runner, done: dict[str, Done], copy_limit_mib: float) -> None:
    """The bundle as a model of the tracker's; a large one stays where it is."""
    if "bundle" not in done:
        return

    def log() -> str:
        from recsys.serving.pyfunc import log_bundle  # imports mlflow, which may not be there

        return log_bundle(done["bundle"].folder / bundle.MODEL, copy_limit_mib=copy_limit_mib)

    with working("record the model"):
        uri = runner.run.model(log)
    if uri:
        runner.note(model_uri=uri)


def say(runner: Runner, config: RunConfig) -> None:
    """What came of it, and in the last lines where everything is."""
    done = runner.done
    check = done["train-encoder"].record["notes"].get("export_check", {}) if "train-encoder" in done else {}
    if "ndcg_at_10_int8" in check:
        before, after = check["ndcg_at_10"], check["ndcg_at_10_int8"]
        print(f"8-bit weights: NDCG@10 of held-out pairs {before:.4f} -> {after:.4f} ({after - before:+.4f})")
    if "evaluate" in done:
        metrics, differences = (
            pl.read_parquet(done["evaluate"].folder / name)
            for name in (evaluate.METRICS, evaluate.DIFFERENCES)
        )
        window = "test" if config.evaluation.read_test else "valid"
        print("\n".join(summary(metrics, differences, config.evaluation, window)))
        recall = done["evaluate"].folder / evaluate.RECALL
        if recall.exists():
            print("\n".join(recall_lines(pl.read_parquet(recall), window)))
    places = {name: runner.run_dir / file for name, file in SHOWN.items()}
    there = {name: path for name, path in places.items() if path.exists()}
    if all(one.skipped for one in done.values()):
        print("nothing was left to do (force=true repeats what is there)")
    for line in look(config.tracking):
        print(line)
    for name, path in there.items():
        print(f"{name}: {path}")
    print(f"done: {runner.run_dir}" + (f" holds {', '.join(there)}" if there else ""))
