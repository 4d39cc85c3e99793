"""Lightning's loop around a module: how long, on what, with which callbacks."""

import datetime
import logging
import warnings
from pathlib import Path
from typing import Any

from recsys.core.progress import counting
from recsys.encoder.bar import StepBar
from recsys.encoder.catalogue import device_of
from recsys.encoder.datamodule import PairModule
from recsys.encoder.lightning import pl
from recsys.encoder.module import EncoderModule
from recsys.encoder.resume import Keeper
from recsys.encoder.trainer_config import TrainerConfig


def fit(
    module: EncoderModule,
    data: PairModule,
    trainer: TrainerConfig,
    folder: Path,
    keeper: Keeper | None,
    limit_s: float | None = None,
) -> None:
    """Train a module to the end of its schedule, or of its time; ``keeper`` takes up a broken training.

    The time is ``limit_s`` seconds, or what ``trainer`` says.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    module.begin()
    epoch, earlier = (keeper.take_up(module, data), keeper.earlier) if keeper else (0, 0.0)
    if limit_s is None and trainer.limit_minutes:
        limit_s = 60 * trainer.limit_minutes
    limit = None
    if limit_s is not None:  # a step closes the epoch that ran out of time
        limit = datetime.timedelta(seconds=max(limit_s - earlier, 1e-3))
    bar = counting("train the encoder", module.total_steps, "samples", data.steps_before())
    with warnings.catch_warnings(), bar as advance:
        # Lightning advises more loader processes; batches here are built in milliseconds
        warnings.filterwarnings("ignore", module=r"pytorch_lightning.*")
        warnings.filterwarnings("ignore", module=r"lightning_fabric.*")
        warnings.filterwarnings("ignore", message=r".*(treespec|TreeSpec).*")
        lightning = pl.Trainer(
            max_epochs=len(module.kinds),
            max_time=limit,
            accelerator="cpu" if device_of(trainer.accelerator).type == "cpu" else "gpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            gradient_clip_val=1.0,
            default_root_dir=str(folder),
            barebones=False,
            callbacks=[StepBar(advance), *([keeper] if keeper else [])],
        )
        progress: Any = lightning.fit_loop.epoch_progress.current
        progress.processed = progress.completed = epoch
        lightning.fit(module, datamodule=data)
