"""Equal values in topk, sort and argmax: which of them comes first is nobody's promise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from occvino.doctor.places import Place
from occvino.doctor.watch import Observation

_ORDERING = frozenset({"topk", "sort", "argsort", "argmax", "argmin", "max", "min"})


def tied_places(seen: Observation) -> tuple[Place, ...]:
    """Lines that order values, in the order of the run."""
    found = [p for name, places in seen.operators.items() if name.split("::")[-1] in _ORDERING for p in places]
    return tuple(dict.fromkeys(found))


class Reordered(TorchDispatchMode):
    """Inside, what orders values meets them in another order: results are as valid, and equals come out otherwise.

    A sort that is asked to be stable has one answer, and keeps it.

    Args:
        seed: of the order.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func._opname not in _ORDERING or kwargs.get("stable") or not isinstance(args[0], Tensor):
            return func(*args, **kwargs)
        names = [argument.name for argument in func._schema.arguments]
        if "dim" not in names:  # the largest value alone
            return func(*args, **kwargs)
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        values, dim = args[0], given.get("dim", _default_of(func, "dim"))
        whole = dim is None
        if whole:
            values, dim = values.flatten(), 0
        if not values.dim():
            return func(*args, **kwargs)
        order = torch.randperm(values.shape[dim], generator=self.random).to(values.device)
        result = func(values.index_select(dim, order), *args[1:], **kwargs)
        if isinstance(result, Tensor):
            return order[result]
        return (result[0], order[result[1]])


def _default_of(func: Any, name: str) -> Any:
    return next(a.default_value for a in func._schema.arguments if a.name == name)
