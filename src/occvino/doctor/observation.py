"""What one run of a module showed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from occvino.doctor.places import Place


@dataclass(frozen=True)
class Event:
    """One observation.

    Args:
        kind: item, number, index, size, bool, len, tolist, numpy, solver, function, call, scatter, custom-op, buffer,
            state, random.
        name: as the user would write it: `Tensor.item`, `torch.inverse`, `QuickCumsumCuda`.
        subject: the tensor concerned: its type and shape, or the name of the buffer or attribute.
        value: the number that came out, or a digest of the array, comparable with ==; of a function, its class.
        constant: made of the module's own tensors only, whatever the inputs are.
        static: a length of which no operator before made it depend on values: it is a size.
        trouble: what a solver said; of a function, how its inside leaves tensor land; of a call of torch_scatter, why
            it cannot be replaced.
    """

    kind: str
    name: str
    place: Place
    subject: str
    value: Any = None
    constant: bool = False
    trouble: str = ""
    static: bool = False


@dataclass(frozen=True)
class Applied:
    """A call of a custom `autograd.Function`: what it was given, and what it gave."""

    args: tuple[Any, ...]
    output: Any


@dataclass
class Observation:
    """What one run of the module showed.

    Args:
        events: in order.
        operators: where each operator, such as `aten::linalg_inv_ex`, was first called, in order.
        sizes: lines that read a size of a tensor, in order.
        returned_at: the line of the `return` of the module's own `forward`.
        applied: of each custom function, its first call.
        overflow: the first operator whose result leaves the FP16 range while its arguments are inside.
        wide: the first operator whose int64 result does not fit 32 bits.
        ranks: of the first argument of an operator at a line, as (name, place).
        tuples: lines at which a custom function gave several values.
        dynamic: an operator ran whose result has as many rows as the values say.
        binned: floats became integers on the way, as the cell that a point falls into.
    """

    output: Any = None
    events: list[Event] = field(default_factory=list[Event])
    operators: dict[str, list[Place]] = field(default_factory=dict[str, list[Place]])
    sizes: list[Place] = field(default_factory=list[Place])
    returned_at: Place | None = None
    applied: dict[Any, Applied] = field(default_factory=dict[Any, Applied])
    overflow: Event | None = None
    wide: Event | None = None
    ranks: dict[tuple[str, Place], int] = field(default_factory=dict[tuple[str, Place], int])
    tuples: list[Place] = field(default_factory=list[Place])
    binned: bool = False
    dynamic: bool = False

    def of(self, *kinds: str) -> list[Event]:
        """Events of these kinds, in order."""
        return [event for event in self.events if event.kind in kinds]
