"""The whole path, or one stage of it, as a command; and what a run folder shows at the end."""

from collections.abc import Sequence
from pathlib import Path

from recsys.pipelines import bundle, evaluate, keys, score
from recsys.pipelines.path import walk
from recsys.pipelines.runner import Done, Runner
from recsys.pipelines.session import session
from recsys.pipelines.settings import load, raw_files


def main(overrides: Sequence[str], only: str | None = None) -> int:
    """The command ``recsys run``, or with ``only`` that of a single stage."""
    config, node = load(overrides)
    raw = raw_files(config.data)
    data_hash = keys.digest({name: keys.hash_path(path) for name, path in raw.items()} or config.data.shop)
    with session(node, only=only, data_hash=data_hash) as runner:
        runner.run.dataset(config.name, data_hash, config.data.dir or "demo shop", "training")
        done = walk(runner, config, only)
        shown = publish(runner, done)
        log_model(runner, done)
    for name, place in shown.items():
        print(f"{name}: {place}")
    return 0


def publish(runner: Runner, done: dict[str, Done]) -> dict[str, Path]:
    """Put what people look for at the top of the run folder."""
    wanted = {
        "evaluate": (evaluate.PREDICTIONS, evaluate.METRICS, evaluate.REPORT),
        "bundle": (bundle.MODEL,),
        "score": (score.RECOMMENDATIONS,),
    }
    for stage, names in wanted.items():
        if stage in done:
            for name in names:
                runner.publish(done[stage].folder / name, name)
    shown = {
        "report": evaluate.REPORT,
        "recommendations": score.RECOMMENDATIONS,
        "model": bundle.MODEL,
    }
    return {name: runner.run_dir / file for name, file in shown.items() if (runner.run_dir / file).exists()}


def log_model(runner: Runner, done: dict[str, Done]) -> None:
    """The bundle as a model of the tracker's."""
    if "bundle" not in done:
        return
    from recsys.serving.pyfunc import log_bundle

    uri = runner.run.model(lambda: log_bundle(done["bundle"].folder / bundle.MODEL))
    if uri:
        runner.note(model_uri=uri)
