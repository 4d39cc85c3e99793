"""Texts to vectors with onnxruntime and tokenizers: what training exported, without torch."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import read_json, reading, require
from recsys.core.errors import BundleError
from recsys.core.length_batches import length_batches
from recsys.core.progress import track

Array = NDArray[Any]

GRAPH, TABLE, TOKENIZER, MANIFEST = "encoder.onnx", "static.npy", "tokenizer.json", "manifest.json"
ENGINES = {"onnx": GRAPH, "static": TABLE}  # what encodes new texts, and the file it reads
AGAIN = "Train the encoder (recsys train-encoder), or name or copy the whole of its folder."
NEEDED = {"dims": int, "max_tokens": int, "pad_id": int, "sha256": dict}
TOKEN_BUDGET = 2048  # tokens of one run, padding included: larger ones leave the caches and gain nothing


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a trained encoder.

    Raises
    ------
    BundleError
        The folder holds none, or one that does not name its engine.
    """
    path = folder / MANIFEST
    manifest = read_json(path, AGAIN)
    require(manifest, path, {"engine": str}, AGAIN)
    return manifest


def can_encode(folder: Path) -> bool:
    """Whether new texts can be encoded; a vectors-only encoder knows the items of its catalogue alone."""
    return read_manifest(folder)["engine"] in ENGINES


def _session(graph: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    with reading(graph, "an ONNX graph", AGAIN):
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


class TextTower:
    """The exported text tower.

    Parameters
    ----------
    session, tokenizer : onnxruntime.InferenceSession, tokenizers.Tokenizer
    dims, max_tokens, pad_id : int
    key : str
        Hash of everything that decides a text's vector; caches are named by it.

    Attributes
    ----------
    encoded : int
        Texts that it has encoded so far.
    """

    def __init__(
        self, session: Any, tokenizer: Any, dims: int, max_tokens: int, pad_id: int, key: str
    ) -> None:
        self._session, self._tokenizer, self._pad_id = session, tokenizer, pad_id
        self.dims, self.max_tokens, self.key = dims, max_tokens, key
        self.encoded = 0

    @classmethod
    def load(cls, folder: Path, threads: int = 0) -> "TextTower":
        """Load the tower of a trained encoder's folder, of whichever engine.

        Parameters
        ----------
        folder : Path
        threads : int
            Of onnxruntime; 0: one a core.

        Raises
        ------
        BundleError
            The folder is incomplete, or its encoder did not export (engine "vectors").
        """
        manifest = read_manifest(folder)
        if manifest["engine"] not in ENGINES:
            raise BundleError(
                f"the encoder in {folder}",
                expected=f"an exported text tower (engine {' or '.join(ENGINES)})",
                found=f"engine {manifest['engine']}",
                do="Use its stored vectors; to encode new texts train an encoder that exports.",
            )
        engine = ENGINES[manifest["engine"]]
        for name in (engine, TOKENIZER):
            if not (folder / name).is_file():
                raise BundleError(str(folder / name), expected="a file", found="none", do=AGAIN)
        require(manifest, folder / MANIFEST, NEEDED, AGAIN)
        require(manifest["sha256"], folder / MANIFEST, {engine: str, TOKENIZER: str}, AGAIN)
        from tokenizers import Tokenizer

        with reading(folder / TOKENIZER, "a tokenizer in JSON", AGAIN):
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=int(manifest["max_tokens"]))
        parts = (manifest["sha256"][engine], manifest["sha256"][TOKENIZER], str(manifest["max_tokens"]))
        key = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
        sizes = (int(manifest["dims"]), int(manifest["max_tokens"]), int(manifest["pad_id"]), key)
        if engine == TABLE:
            from recsys.interest.static import StaticTower, read_table

            return StaticTower(read_table(folder / TABLE, tokenizer, sizes[0]), tokenizer, *sizes)
        return cls(_session(folder / GRAPH, threads), tokenizer, *sizes)

    def encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """Vectors of some texts, centred on the catalogue's mean and of length one.

        A text's vector differs by about 1e-7 with the batch that it is in, so vectors are computed once
        and stored; the stored ones are the truth.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        raw, tuned : float32 arrays, shape (texts, dims)
            Of the pretrained and of the trained encoder, in the order of ``texts``.
        """
        raw = np.empty((len(texts), self.dims), np.float32)
        tuned = np.empty_like(raw)
        self.encoded += len(texts)
        if not len(texts):
            return raw, tuned
        # where a tokenizer adds no special tokens an empty text has none, and is read as padding
        ids = [encoding.ids or [self._pad_id] for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        lengths = np.array([len(row) for row in ids], np.int64)
        for batch in track(length_batches(lengths, TOKEN_BUDGET), "encode texts"):
            # the graph was exported for two tokens and more; a text of one is padded
            width = max(2, int(lengths[batch].max()))
            tokens = np.full((len(batch), width), self._pad_id, np.int64)
            mask = np.zeros((len(batch), width), np.int64)
            for row, text in enumerate(batch):
                tokens[row, : lengths[text]] = ids[text]
                mask[row, : lengths[text]] = 1
            inputs = {"input_ids": tokens, "attention_mask": mask}
            raw[batch], tuned[batch] = self._session.run(["raw", "tuned"], inputs)
        return raw, tuned
