"""Weights between where training began and where it stands.

Fine-tuned weights are best at what they were trained on; what they were before often carries over better to
items and days that were not there. Weights on the line between the two keep most of both (WiSE-FT: Wortsman
et al. 2022, "Robust fine-tuning of zero-shot models"), and cost nothing to train or to serve.
"""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

SHARES = (0.25, 0.5, 0.75)  # of the way from the start; the end itself is measured anyway


def between(start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """``start + share * (end - start)``, tensor by tensor; whole numbers are those of the end."""
    return {
        name: start[name].to(value.device).lerp(value, share) if value.is_floating_point() else value
        for name, value in end.items()
    }


def best_between(
    module: nn.Module,
    start: Mapping[str, Tensor],
    end: Mapping[str, Tensor],
    measure: Callable[[], float],
) -> tuple[float, float, dict[str, Tensor]]:
    """The best of the weights between two states of a module, which is left at the end.

    Parameters
    ----------
    module : nn.Module
    start, end : mapping of name to tensor
        Of the same names and shapes.
    measure : callable
        How good the module is with the weights that it has, more is better.

    Returns
    -------
    share, value : float
        How far from the start, and what was measured there; the nearest to the start of equals.
    dict
        The weights.
    """
    found = {}
    for share in SHARES:
        module.load_state_dict(between(start, end, share), strict=False)
        found[share] = measure()
    module.load_state_dict(dict(end), strict=False)
    best = max(found, key=lambda share: (found[share], -share))
    return best, found[best], between(start, end, best)
