"""The networks in plain PyTorch. Attribute names give the state-dict keys of the official checkpoints."""

from occvino.networks.checkpoint import build
from occvino.networks.flashocc import FlashOcc
from occvino.networks.weights import load_weights

__all__ = ["FlashOcc", "build", "load_weights"]
