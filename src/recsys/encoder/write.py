"""A trained module as the files that later rooms read."""

import logging
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recsys.core.errors import DataError
from recsys.encoder import checkpoint, export, small
from recsys.encoder.config import EncoderConfig
from recsys.encoder.export_int8 import export_int8
from recsys.encoder.module import EncoderModule
from recsys.encoder.tokens import Tokens

LOG = logging.getLogger(__name__)


def write_towers(
    module: EncoderModule, raw: Tensor, tokens: Tokens, config: EncoderConfig, folder: Path
) -> tuple[str, dict[str, float]]:
    """Write weights, user tower, id part and vectors, and export the text tower.

    Parameters
    ----------
    module : EncoderModule
    raw : Tensor, shape (texts, dims)
        Pretrained pooled vectors of the catalogue.
    tokens : Tokens
        Of the catalogue.
    config : EncoderConfig
    folder : Path

    Returns
    -------
    str
        The engine of the text tower: "vectors" where its graph is not torch's own or cannot be made.
    dict
        How near the export is to torch.

    Raises
    ------
    ImportError
        Where what exports is not installed.
    """
    checkpoint.save_weights(module, folder)
    if module.text.kept:
        small.save(module.text, folder)
    export.save_user_tower(module.user, folder / "user_tower.npz", config.read_history)
    export.save_ids(module.ids, folder / checkpoint.IDS)
    np.save(folder / "mean.npy", module.head.mean.numpy(), allow_pickle=False)
    with torch.no_grad():
        np.save(folder / "raw.npy", module.head.raw(raw).numpy(), allow_pickle=False)
        np.save(folder / "tuned.npy", module.head(module.bank).numpy(), allow_pickle=False)
    if config.preset == "static":
        return "static", {}
    if config.export != "vectors":
        try:
            path = folder / "encoder.onnx"
            check = export.export_onnx(module, tokens, path, config.max_tokens)
            return "onnx", _rounded(module, tokens, path, check) if config.export == "onnx_int8" else check
        except (DataError, ImportError, MemoryError):
            raise
        except Exception as error:  # the graph is off, or the exporter met what it cannot trace
            (folder / "encoder.onnx").unlink(missing_ok=True)
            LOG.warning(
                "The encoder does not export (%s): the bundle holds vectors only, and an item that is not "
                "in the catalogue will read as without text.",
                str(error).splitlines()[0] if str(error) else type(error).__name__,
            )
    return "vectors", {}


def _rounded(module: EncoderModule, tokens: Tokens, path: Path, check: dict[str, float]) -> dict[str, float]:
    """Round the graph's weights; where that goes wrong the graph stays as it was."""
    whole = path.with_name(f".whole-{path.name}")
    shutil.copy2(path, whole)
    try:
        return export_int8(module, tokens, path)
    except Exception as error:  # what rounds raises what it likes
        whole.replace(path)
        LOG.warning("The graph keeps its float32 weights, since rounding them failed: %s", error)
        return check
    finally:
        whole.unlink(missing_ok=True)
