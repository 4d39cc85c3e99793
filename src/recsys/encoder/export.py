"""One ONNX graph with two outputs, raw and tuned item vectors, compared with torch before it is accepted."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys.core.errors import BundleError
from recsys.encoder.module import EncoderModule
from recsys.encoder.text_tower import TextCache
from recsys.encoder.tokens import Tokens
from recsys.encoder.user_tower import UserTower

Array = NDArray[Any]
INPUTS = ("input_ids", "attention_mask")
OUTPUTS = ("raw", "tuned")
LEAST_COSINE = 0.9999
MOST_DIFFERENCE = 1e-3
CHECKED_TEXTS = 32


class TwoVectors(nn.Module):
    """Token ids and mask to raw and tuned item vectors, the lower layers shared."""

    def __init__(self, module: EncoderModule) -> None:
        super().__init__()
        self.text, self.head = module.text.plain(), module.head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Both (texts, dims), centred on the catalogue's mean and of length one."""
        raw, tuned = self.text(input_ids, attention_mask)
        return self.head.raw(raw), self.head(tuned)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks of missing torchvision, renamed axes and deprecated calls of its own."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def export_onnx(module: EncoderModule, tokens: Tokens, path: Path, max_tokens: int) -> dict[str, float]:
    """Write the graph and compare it with torch on a sample of the catalogue.

    Parameters
    ----------
    module : EncoderModule
    tokens : Tokens
        Of the catalogue.
    path : Path
        Of the ``.onnx`` file.
    max_tokens : int

    Returns
    -------
    dict
        ``cosine`` (the least) and ``max_difference`` between both, over both outputs.

    Raises
    ------
    BundleError
        The graph gives other vectors than torch.
    """
    model = TwoVectors(module).eval().cpu()
    ids = TextCache(tokens, module.text.pad_id)
    sample = np.unique(np.linspace(0, len(ids.lengths) - 1, CHECKED_TEXTS).astype(np.int64))
    example = (torch.ones(2, 5, dtype=torch.int64), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]))
    axes = {0: torch.export.Dim("batch", min=1, max=4096), 1: torch.export.Dim("seq", min=2, max=max_tokens)}
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            model,
            example,
            str(path),
            dynamo=True,
            external_data=False,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=dict.fromkeys(INPUTS, axes),
            opset_version=18,
            verbose=False,
        )
    return _compare(model, path, *ids.padded(sample))


def _compare(model: nn.Module, path: Path, inputs: Tensor, mask: Tensor) -> dict[str, float]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found = session.run(list(OUTPUTS), dict(zip(INPUTS, (inputs.numpy(), mask.numpy()), strict=True)))
    with torch.no_grad():
        wanted = [x.numpy() for x in model(inputs, mask)]
    difference = max(float(np.abs(f - w).max()) for f, w in zip(found, wanted, strict=True))
    cosine = min(float((f * w).sum(1).min()) for f, w in zip(found, wanted, strict=True))
    # a text at the very mean of the catalogue has no direction: its vector is short, its cosine means nothing
    short = min(float((w * w).sum(1).min()) for w in wanted) < 0.5
    if difference > MOST_DIFFERENCE or (cosine < LEAST_COSINE and not short):
        raise BundleError(
            f"the exported graph {path.name}",
            expected=f"torch's own vectors (cosine >= {LEAST_COSINE}, difference <= {MOST_DIFFERENCE})",
            found=f"cosine {cosine:.5f}, difference {difference:.2g}",
            do="Set encoder.export=vectors, or use another encoder.",
        )
    return {"cosine": cosine, "max_difference": difference}


def save_user_tower(tower: UserTower, path: Path, read_history: int) -> None:
    """Write the user tower as plain arrays, which `recsys.interest.user` reads."""
    from recsys.core.gaps import gap_edges

    arrays = {name: p.detach().cpu().numpy() for name, p in tower.named_parameters()}
    arrays["scale"] = tower.scale().detach().cpu().numpy()
    del arrays["log_scale"]
    np.savez(path, gap_edges=gap_edges(), read_history=np.int64(read_history), allow_pickle=False, **arrays)
