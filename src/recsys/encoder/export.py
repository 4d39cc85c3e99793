"""One ONNX graph with two outputs, raw and tuned item vectors, compared with torch before it is accepted."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys.core.errors import BundleError
from recsys.encoder.id_tower import IdTower
from recsys.encoder.module import EncoderModule
from recsys.encoder.text_cache import TextCache
from recsys.encoder.tokens import Tokens
from recsys.encoder.user_tower import UserTower

Array = NDArray[Any]
INPUTS = ("input_ids", "attention_mask")
OUTPUTS = ("raw", "tuned")
TUNED = OUTPUTS.index("tuned")
MOST_BATCH_DIFFERENCE = 1e-5  # of one text alone and among others: float32 sums, more near the mean
CHECKED_TEXTS = 32


class Bounds(NamedTuple):
    """How far a graph's vectors may be from torch's."""

    least_cosine: float = 0.9999
    most_difference: float = 1e-3


FLOAT32 = Bounds()


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
        As `check_graph`.

    Raises
    ------
    BundleError
        The graph gives other vectors than torch, or a text's vector depends on its batch.
    """
    model = TwoVectors(module).eval().cpu()
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
    return check_graph(module, tokens, path)


def check_graph(
    module: EncoderModule, tokens: Tokens, path: Path, bounds: Bounds = FLOAT32
) -> dict[str, float]:
    """Compare a graph with torch, and with itself at other batches, on a sample of the catalogue.

    Returns
    -------
    dict
        ``cosine`` (the least) and ``max_difference`` between both, and ``batch_difference`` between a text
        alone and among others; over both outputs.

    Raises
    ------
    BundleError
        One of them is out of bounds.
    """
    ids = TextCache(tokens, module.text.pad_id)
    sample = np.unique(np.linspace(0, len(ids.lengths) - 1, CHECKED_TEXTS).astype(np.int64))
    texts = [ids.padded(np.array([item])) for item in sample]
    return _compare(TwoVectors(module).eval().cpu(), path, *ids.padded(sample), bounds) | _alone(
        path, texts, *ids.padded(sample)
    )


def open_graph(path: Path) -> Any:
    """An onnxruntime session of a graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_graph(session: Any, inputs: Tensor, mask: Tensor) -> list[Array]:
    """Both outputs for some texts; the graph was exported for two tokens and more, so one is padded."""
    if inputs.shape[1] == 1:
        inputs, mask = inputs.repeat(1, 2), torch.cat((mask, torch.zeros_like(mask)), 1)
    fed = dict(zip(INPUTS, (inputs.numpy(), mask.numpy()), strict=True))
    found: list[Array] = session.run(list(OUTPUTS), fed)
    return found


def _compare(
    model: nn.Module, path: Path, inputs: Tensor, mask: Tensor, bounds: Bounds = FLOAT32
) -> dict[str, float]:
    found = run_graph(open_graph(path), inputs, mask)
    with torch.no_grad():
        wanted = [x.numpy() for x in model(inputs, mask)]
    difference = max(float(np.abs(f - w).max()) for f, w in zip(found, wanted, strict=True))
    cosine = min(float((f * w).sum(1).min()) for f, w in zip(found, wanted, strict=True))
    # a text at the very mean of the catalogue has no direction: its vector is short, its cosine means nothing
    short = min(float((w * w).sum(1).min()) for w in wanted) < 0.5
    if difference > bounds.most_difference or (cosine < bounds.least_cosine and not short):
        raise BundleError(
            f"the exported graph {path.name}",
            expected=f"torch's own vectors (cosine >= {bounds.least_cosine}, "
            f"difference <= {bounds.most_difference})",
            found=f"cosine {cosine:.5f}, difference {difference:.2g}",
            do="Set encoder.export=vectors, or use another encoder.",
        )
    return {"cosine": cosine, "max_difference": difference}


def _alone(path: Path, texts: list[tuple[Tensor, Tensor]], inputs: Tensor, mask: Tensor) -> dict[str, float]:
    session = open_graph(path)
    together = run_graph(session, inputs, mask)
    alone = [run_graph(session, *text) for text in texts]
    difference = max(
        float(np.abs(vectors - np.concatenate([one[output] for one in alone])).max())
        for output, vectors in enumerate(together)
    )
    if difference > MOST_BATCH_DIFFERENCE:
        raise BundleError(
            f"the exported graph {path.name}",
            expected=f"a text's vector to be the same in any batch (to {MOST_BATCH_DIFFERENCE:g})",
            found=f"a difference of {difference:.2g} between a text alone and among {len(texts)}",
            do="Set encoder.export=vectors, or use another encoder.",
        )
    return {"batch_difference": difference}


def save_user_tower(tower: UserTower, path: Path, read_history: int) -> None:
    """Write the user tower as plain arrays, which `recsys.interest.user` reads."""
    from recsys.core.gaps import gap_edges

    arrays = {name: p.detach().cpu().numpy() for name, p in tower.named_parameters()}
    arrays["scale"] = tower.scale().detach().cpu().numpy()
    del arrays["log_scale"]
    np.savez(path, gap_edges=gap_edges(), read_history=np.int64(read_history), allow_pickle=False, **arrays)


def save_ids(tower: IdTower | None, path: Path) -> None:
    """Write the id part as plain arrays, which `recsys.interest.ids` reads; nothing where there is none."""
    if tower is not None:
        np.savez(path, allow_pickle=False, **tower.arrays())
