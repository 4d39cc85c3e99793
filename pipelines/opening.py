"""Opens the run of a command by what was typed: its settings, and a runner that knows the input files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from recsys.core.progress import working
from recsys.pipelines import keys
from recsys.pipelines.baselines import require_libraries
from recsys.pipelines.runner import Runner
from recsys.pipelines.session import session
from recsys.pipelines.settings import RunConfig, load, raw_files
from recsys.ranking.search import require_optuna


@contextmanager
def opened(overrides: Sequence[str], only: str | None = None) -> Iterator[tuple[Runner, RunConfig]]:
    """The runner of a command and its settings; the input files are read for their hashes."""
    config, node = load(overrides)
    if only in (None, "evaluate"):
        require_libraries(config.evaluation.baselines)  # now, and not after the training
    if only in (None, "train-ranker") and config.ranker.search.trials:
        require_optuna()
    with working("read the input files"):
        inputs = {name: (path, keys.hash_path(path)) for name, path in raw_files(config.data).items()}
    data_hash = keys.digest({name: value for name, (_, value) in inputs.items()} or config.data.shop)
    with session(node, only=only, data_hash=data_hash, inputs=inputs) as runner:
        runner.run.dataset(config.name, data_hash, config.data.dir or "demo shop", "training")
        yield runner, config
