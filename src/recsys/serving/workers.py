"""Partitions in processes of their own: each opens the model folder, so that all share its pages.

A worker is a fresh process, not a fork, since neither polars nor a pool of threads survives one. It is told
a partition a line, as JSON, and answers with the bytes of the file; the files are written by who asked. It
ends with the pipe that it is told through, so that none is left when its parent is killed.
"""

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from recsys.core.errors import RecsysError
from recsys.core.progress import track
from recsys.serving.batch_config import BatchConfig
from recsys.serving.partition import Part, part_bytes
from recsys.serving.ranker import Ranker


class Worker:
    """One process.

    Parameters
    ----------
    folder : Path
        The model folder.
    config : BatchConfig
    """

    def __init__(self, folder: Path, config: BatchConfig) -> None:
        told = [str(folder), json.dumps(config.content())]
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, *told], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def score(self, name: str, part: Part) -> bytes:
        """The file of a partition.

        Raises
        ------
        RecsysError
            Naming the partition with which the process died.
        """
        asked, answer = self.process.stdin, self.process.stdout
        assert asked is not None and answer is not None
        try:
            asked.write(json.dumps(part).encode() + b"\n")
            asked.flush()
            size = answer.readline()
            content = answer.read(int(size)) if size.endswith(b"\n") else b""
        except BrokenPipeError:
            size, content = b"", b""
        if not size or len(content) < int(size):
            code = self.process.wait()
            how = f"it killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"
            raise RecsysError(
                f"the worker of {name} (users {part.users[0]!r} to {part.users[-1]!r})",
                expected="a process that scores its partition",
                found=how,
                do="The finished partitions are kept: give the same command again, with fewer "
                "scoring.workers or a smaller scoring.partition_size where memory was short.",
            )
        return content

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.communicate()


def score_apart(
    folder: Path,
    parts: Sequence[tuple[str, Part]],
    config: BatchConfig,
    workers: int,
    write: Callable[[str, bytes], None],
) -> None:
    """Score partitions by several processes, each written when it is there.

    Parameters
    ----------
    folder : Path
        The model folder.
    parts : sequence of (name, Part)
    config : BatchConfig
    workers : int
    write : callable
        Takes a name and the file's bytes, in any thread.

    Raises
    ------
    RecsysError
        As `Worker.score`; the other processes are ended then.
    """
    every = [Worker(folder, config) for _ in range(workers)]
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in every:
        idle.put(worker)

    def score(name: str, part: Part) -> None:
        worker = idle.get()
        try:
            write(name, worker.score(name, part))
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(workers) as pool:
        try:
            waiting = [pool.submit(score, *one) for one in parts]
            for done in track(as_completed(waiting), "recommendations", len(waiting)):
                done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in every:
                worker.stop()


def serve() -> None:
    """What a worker does: read a partition, write its size and its bytes, until nothing more comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is interrupted ends its workers
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may get between the bytes
    folder, settings = sys.argv[1:]
    config = BatchConfig(**json.loads(settings))
    ranker = Ranker.load(folder, chances=config.chances)
    for line in sys.stdin:
        content = part_bytes(ranker, Part(*json.loads(line)), config)
        try:
            out.write(b"%d\n" % len(content) + content)
            out.flush()
        except BrokenPipeError:  # who asked is gone
            os._exit(1)


if __name__ == "__main__":
    serve()
