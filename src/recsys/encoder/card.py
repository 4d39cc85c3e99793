"""The model card of a trained encoder: what its manifest tells, for people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys.encoder.checkpoint import write_manifest

CARD = "README.md"
_COLUMNS = {
    "epoch": "epoch",
    "kind": "kind",
    "train/loss": "loss",
    "holdout/click_ndcg_at_10": "NDCG@10",
    "holdout/click_recall_at_10": "recall@10",
    "holdout/purchase_ndcg_at_10": "NDCG@10, purchases",
    "holdout/list_ndcg_at_10": "NDCG@10 of lists",
    "holdout/list_auc": "AUC of lists",
    "share": "best share",
    "seconds": "seconds",
}


def card(manifest: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """The text of a trained encoder's ``README.md``.

    Parameters
    ----------
    manifest : mapping
        As it goes into ``manifest.json``, the hashes of the files aside.
    history : sequence of mapping
        One row an epoch, the start first.
    """
    return (
        "\n\n".join(
            (
                "# A text encoder trained by recsys",
                _what(manifest),
                "## Hold-out by epoch",
                _table(history, manifest["best_epoch"]),
                _kept(manifest),
                "## Export",
                _export(manifest),
                "## Use",
                _use(manifest["engine"]),
                "## Limits",
                _limits(manifest),
            )
        )
        + "\n"
    )


def describe(
    folder: Path, manifest: Mapping[str, Any], history: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Write a folder's card and then its manifest, which names the card's hash too; what was written."""
    (folder / CARD).write_text(card(manifest, history), encoding="utf-8")
    return write_manifest(folder, manifest)


def _what(manifest: Mapping[str, Any]) -> str:
    window = manifest["window"].get("name", "not named")
    pairs, lists = manifest["pairs"], manifest["lists"]
    rows = {
        "vectors": f"{manifest['dims']} numbers each, of item texts and of users "
        f"(heads {', '.join(manifest['heads'])})",
        "base model": manifest["model"],
        "its weights": f"sha256 {manifest['model_sha256'] or '(in several files)'}",
        "preset": manifest["preset"],
        "window": f"{window}; {'real times' if manifest['clock'] else 'an order without a clock'}",
        "pairs": f"{pairs['learned']:,} learned, {pairs['holdout']:,} held out",
        "items": f"{manifest['known_items']:,} known in the window",
    }
    if lists["learned"]:
        rows["lists"] = f"{lists['learned']:,} learned, {lists['holdout']:,} held out"
    for name, digest in manifest["data"].items():
        rows[f"data, {name.replace('_', ' ')}"] = f"sha256 {digest}"
    return "\n".join(f"- {name}: {value}" for name, value in rows.items())


def _kept(manifest: Mapping[str, Any]) -> str:
    share = manifest["best_share"]
    if share < 1.0:
        return (
            f"The folder holds weights between the start and epoch {manifest['best_epoch']}, {share:g} of "
            "the way, which did best on the hold-out. Epoch 0 is the start."
        )
    return f"The folder holds the weights of epoch {manifest['best_epoch']}. Epoch 0 is the start."


def _table(history: Sequence[Mapping[str, Any]], best: int) -> str:
    columns = [name for name in _COLUMNS if any(name in row for row in history)]
    lines = [[_COLUMNS[name] for name in columns], ["---"] * len(columns)]
    for row in history:
        cells = [_cell(row.get(name)) for name in columns]
        lines.append([f"**{cell}**" if row["epoch"] == best and cell else cell for cell in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if value == value else ""
    return "" if value is None else str(value)


def _export(manifest: Mapping[str, Any]) -> str:
    if manifest["engine"] == "vectors":
        return (
            "Vectors only (`raw.npy`, `tuned.npy`): an item that was not in the catalogue reads as without "
            "text."
        )
    if manifest["engine"] == "static":
        return "`static.npy`: a table of token vectors, fitted to the trained tower; no graph is needed."
    told = [f"- {name.replace('_', ' ')}: {value:.6g}" for name, value in manifest["export_check"].items()]
    return "\n".join(["`encoder.onnx`, compared with torch on texts of the catalogue:", "", *told])


_ENCODE = """\
raw, tuned = TextTower.load(folder).encode(["a title"])       # no torch
"""
_USE = """\
```python
from pathlib import Path
from recsys.encoder.checkpoint import load, load_config
from recsys.encoder.train import train_encoder
from recsys.interest.text import TextTower

folder = Path("the folder of this file")
{encode}module = load(folder)                                         # torch: the towers as they were trained
config, trainer = load_config(folder)                         # go on with new pairs and the same settings
train_encoder(..., config=config, trainer=trainer, start=folder)
```"""


def _use(engine: str) -> str:
    """How to use the folder; where it holds vectors only, there is nothing that encodes new texts."""
    if engine == "vectors":
        return _USE.format(encode="").replace("from recsys.interest.text import TextTower\n", "")
    return _USE.format(encode=_ENCODE)


def _limits(manifest: Mapping[str, Any]) -> str:
    share = manifest["unknown_tokens"]
    lines = [
        f"- Languages: {share:.1%} of the catalogue's tokens are unknown to it; texts in a language that it "
        "does not know read alike.",
        f"- Texts are cut at {manifest['max_tokens']} tokens.",
        "- A user's vector reads the last events only, "
        f"{manifest['config']['read_history']} of them at most.",
    ]
    if speed := manifest.get("texts_per_s"):
        lines.append(f"- Speed: {speed:,.0f} texts a second where it was trained.")
    return "\n".join(lines)
