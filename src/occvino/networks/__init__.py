"""The networks in plain PyTorch. Attribute names give the state-dict keys of the official checkpoints."""

from occvino.networks.checkpoint import build, load_weights
from occvino.networks.flashocc import FlashOcc

__all__ = ["FlashOcc", "build", "load_weights"]
