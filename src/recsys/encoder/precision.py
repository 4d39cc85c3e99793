"""The arithmetic of the language model, by the device that it runs on."""

import contextlib
from collections.abc import Iterator

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

# not cuDNN's: it plans anew for each shape of a batch, which takes longer than a step of training
ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def choose_bf16(wanted: str, device: str, supported: bool) -> bool:
    """Whether the language model computes in bfloat16.

    Parameters
    ----------
    wanted : {"auto", "fp32", "bf16"}
    device : str
        "cpu" or a kind of accelerator.
    supported : bool
        Whether the accelerator has bfloat16; of no account on a CPU, which emulates it slowly.
    """
    return wanted == "bf16" or (wanted == "auto" and device != "cpu" and supported)


def bf16_on(wanted: str, device: torch.device) -> bool:
    """`choose_bf16` for a device of this machine."""
    supported = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return choose_bf16(wanted, device.type, supported)


@contextlib.contextmanager
def language_model(bf16: bool, device: torch.device) -> Iterator[None]:
    """Where the language model runs: mixed with bfloat16, or exactly as it is.

    Off means no context at all, so that an exported graph does not know of it.
    """
    if not bf16:
        yield
        return
    with torch.autocast(device.type, torch.bfloat16), sdpa_kernel(ATTENTION):
        yield
