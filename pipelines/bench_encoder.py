"""Benchmark of the encoder: how fast it encodes, trains and embeds again, and what its training is worth.

Run it by ``python -m recsys.pipelines.bench_encoder --out pipelines/figures/encoder.json``, with the data
sets' folder in ``RECSYS_DATA``. ``--only`` takes parts and single figures.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from recsys.pipelines import (
    bench_encoder_cold,
    bench_encoder_gpu,
    bench_encoder_peer,
    bench_encoder_quality,
    bench_encoder_reembed,
    bench_encoder_resume,
    bench_encoder_speed,
    bench_encoder_train,
)
from recsys.pipelines.bench import Figure, apart, report
from recsys.pipelines.bench_told import Told, read_arguments


class Part(NamedTuple):
    """What one process of its own measures: all of its figures at once."""

    figures: Callable[[bool], list[Figure]]
    names: tuple[str, ...]


PARTS: Mapping[str, Part] = {
    "encode": Part(bench_encoder_speed.encode_figures, bench_encoder_speed.NAMES),
    "naive": Part(bench_encoder_train.naive_figures, tuple(bench_encoder_train.NAIVE)),
    "peer": Part(bench_encoder_peer.peer_figures, (bench_encoder_peer.PEER,)),
    "reembed": Part(bench_encoder_reembed.reembed_figures, bench_encoder_reembed.NAMES),
    "resume": Part(bench_encoder_resume.resume_figures, ("resume_equal",)),
    "cold": Part(bench_encoder_cold.cold_figures, bench_encoder_cold.NAMES),
    "gpu": Part(bench_encoder_gpu.gpu_figures, bench_encoder_gpu.NAMES),
}
QUALITY = "quality"  # the last part: each of its figures trains for itself


def chosen(only: Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    """The figures asked for, by part; a part that is named is asked for as a whole."""
    parts = {name: part.names for name, part in PARTS.items()} | {QUALITY: bench_encoder_quality.NAMES}
    if only is None:
        return parts
    asked = {
        part: names if part in only else tuple(name for name in names if name in only)
        for part, names in parts.items()
    }
    return {part: names for part, names in asked.items() if names}


def measure(part: str, names: tuple[str, ...], told: Told) -> list[Figure]:
    """The figures of these names, out of one part."""
    if part == QUALITY:
        return bench_encoder_quality.quality_figures(names, told)
    return [figure for figure in PARTS[part].figures(told.quick) if figure.name in names]


def main(given: Sequence[str] | None = None) -> None:
    """Run the parts asked for, each in a process of its own."""
    every = [name for part, names in chosen(None).items() for name in (part, *names)]
    asked, told = read_arguments(
        __doc__ or "",
        every,
        given,
        seeds="of the quality figures",
        test="MIND's figures on the window test",
    )
    figures = [
        figure for part, names in chosen(asked.only).items() for figure in apart(measure, part, names, told)
    ]
    report("encoder", figures, asked.out)


if __name__ == "__main__":
    main()
