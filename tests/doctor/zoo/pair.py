"""What a pair is."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from occvino.doctor.routes import ALL_ROUTES, Route

Specimen = Callable[[], tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]


@dataclass(frozen=True)
class Pair:
    """A trap, its twin, and what the doctor must say of the first; of the second, nothing.

    Args:
        code: of the finding that must stand at the marked line.
        trap: gives module, args, kwargs.
        twin: the same without the trap.
        routes: the ways out of PyTorch that show the trap; most traps show without any.
        variations: other calls, for both.
    """

    code: str
    trap: Specimen
    twin: Specimen
    routes: tuple[Route, ...] = ()
    variations: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = ()

    @property
    def name(self) -> str:
        """For pytest."""
        return f"{self.code}-{type(self.trap()[0]).__name__}"

    def marked_lines(self) -> set[tuple[str, int]]:
        """File and line of every `# TRAP` in the trap's class."""
        cls = type(self.trap()[0])
        lines, first = inspect.getsourcelines(cls)
        file = inspect.getsourcefile(cls) or ""
        return {(file, first + offset) for offset, line in enumerate(lines) if line.rstrip().endswith("# TRAP")}


def image(*shape: int) -> torch.Tensor:
    """Reproducible numbers in 0..1."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def of(cls: type[nn.Module], *args: Any, **kwargs: Any) -> Specimen:
    """A specimen: an instance with fixed weights, in evaluation mode, and a call."""

    def make() -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
        torch.manual_seed(0)
        return cls().eval(), args, kwargs

    return make


__all__ = ["ALL_ROUTES", "Pair", "Route", "Specimen", "image", "of"]
