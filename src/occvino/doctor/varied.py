"""A run of the module on other inputs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from occvino.doctor.watch import Event


@dataclass(frozen=True)
class Varied:
    """The module run on other inputs.

    Args:
        inputs: in the order of the flat module's inputs.
        outputs: what the module gave for them.
        events: what was watched on the way.
        changed: positions of the inputs that differ from the example.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    events: tuple[Event, ...]
    changed: frozenset[int]
