"""Masked language modelling on the catalogue's texts (Devlin et al. 2018, "BERT").

Of the tokens 15 % are chosen, special ones aside; of these 80 % become the mask, 10 % any token, and 10 %
stay. The loss is the cross-entropy of what stood there, at the chosen places only, so that the scores of
the whole vocabulary are computed for these alone. They come from the model's own head where its folder
holds one, else from the similarity to the token embeddings and a learned bias.
"""

from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from recsys.core.errors import ConfigError

Array = NDArray[Any]
CHOSEN, MASKED, REPLACED = 0.15, 0.8, 0.1


class Vocabulary(NamedTuple):
    """What masking needs to know of a tokenizer."""

    size: int
    mask: int  # the token that hides another
    special: Array  # int64, tokens that are never chosen


def vocabulary_of(tokenizer: Tokenizer) -> Vocabulary:
    """The vocabulary of a tokenizer, its mask, and the tokens that it puts around a text.

    Raises
    ------
    ConfigError
        It has no mask.
    """
    masks = [tokenizer.token_to_id(token) for token in ("[MASK]", "<mask>")]
    found = [mask for mask in masks if mask is not None]
    if not found:
        raise ConfigError(
            "encoder.adapt.mlm_epochs",
            expected="0 for this encoder",
            found="a tokenizer without [MASK] or <mask>",
            do="Set encoder.adapt.mlm_epochs=0.",
        )
    special = {token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special}
    special |= {*tokenizer.encode("").ids, found[0]}
    return Vocabulary(tokenizer.get_vocab_size(), found[0], np.array(sorted(special), np.int64))


def hide(ids: Array, real: Array, vocabulary: Vocabulary, rng: np.random.Generator) -> tuple[Array, Array]:
    """Choose tokens and hide most of them.

    Parameters
    ----------
    ids : int64 array, shape (texts, tokens)
    real : bool array, shape (texts, tokens)
        False where a text is padded.
    vocabulary : Vocabulary
    rng : numpy Generator

    Returns
    -------
    int64 array, shape (texts, tokens)
        The ids with what is hidden.
    bool array, shape (texts, tokens)
        Where a token was chosen.
    """
    chosen = (rng.random(ids.shape) < CHOSEN) & real & ~np.isin(ids, vocabulary.special)
    fate = rng.random(ids.shape)
    other = rng.integers(0, vocabulary.size, ids.shape)
    seen = np.where(chosen & (fate < MASKED), vocabulary.mask, ids)
    replaced = chosen & (fate >= MASKED) & (fate < MASKED + REPLACED)
    return np.where(replaced, other, seen), chosen


class _Given(nn.Module):
    """Stands where a model stood that its head would call: gives back the hidden states that it gets."""

    def forward(self, *args: Any, inputs_embeds: Tensor, **kwargs: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=inputs_embeds)


class OwnHead(nn.Module):
    """The head that the model was pretrained with; where it shares the token embeddings, of ``base``."""

    def __init__(self, model: nn.Module, base: nn.Module) -> None:
        super().__init__()
        whole = cast(Any, model)
        setattr(whole, whole.base_model_prefix, _Given())
        if whole.config.tie_word_embeddings:
            whole.get_output_embeddings().weight = cast(Any, base).get_input_embeddings().weight
        self.model = whole.eval()

    def forward(self, hidden: Tensor) -> Tensor:
        """Scores (places, vocabulary) from hidden states (places, dims)."""
        scores: Tensor = self.model(inputs_embeds=hidden.unsqueeze(0)).logits.squeeze(0)
        return scores


class TiedHead(nn.Module):
    """Similarity to the token embeddings of ``base``, and a bias."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.weight: Tensor = cast(Any, base).get_input_embeddings().weight
        self.bias = nn.Parameter(torch.zeros(len(self.weight), device=self.weight.device))

    def forward(self, hidden: Tensor) -> Tensor:
        """Scores (places, vocabulary) from hidden states (places, dims)."""
        return nn.functional.linear(hidden, self.weight, self.bias)


def head_for(folder: Path, base: nn.Module) -> nn.Module:
    """The head of a pretrained model: its own where the folder holds all of it, else tied embeddings."""
    try:
        model, found = transformers.AutoModelForMaskedLM.from_pretrained(
            str(folder), local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except ValueError:  # no such head is known for this kind of model
        return TiedHead(base)
    if any(not name.startswith(f"{model.base_model_prefix}.") for name in found["missing_keys"]):
        return TiedHead(base)
    return OwnHead(model, base).to(next(base.parameters()).device)


def mlm_loss(
    base: nn.Module, head: nn.Module, seen: Tensor, mask: Tensor, ids: Tensor, chosen: Tensor
) -> Tensor:
    """Mean cross-entropy of the chosen tokens; 0 where none was chosen.

    Parameters
    ----------
    base, head : nn.Module
    seen, mask, ids : int64 tensors, shape (texts, tokens)
        What the model sees, which tokens are real, and what stood there.
    chosen : bool tensor, shape (texts, tokens)
    """
    hidden = base(input_ids=seen, attention_mask=mask).last_hidden_state[chosen]
    losses = nn.functional.cross_entropy(head(hidden).float(), ids[chosen], reduction="sum")
    return losses / chosen.sum().clamp(min=1)
