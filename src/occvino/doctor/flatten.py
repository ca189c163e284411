"""A module whose inputs and outputs are tensors and nothing else, made from one that takes anything."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from occvino.doctor.calls import Path, clone, error, identifier, leaves, replace_leaves, tensors_out
from occvino.doctor.findings import DoctorError
from occvino.doctor.state import state_kept

_EXACT = 1e-6


class FlatModule(nn.Module):
    """`forward(first, second, ...)`: one tensor a parameter, in, and a tensor or a tuple of tensors out.

    What of the example call was no tensor - flags, None, strings, metadata - is held as it was.

    Args:
        module: the wrapped module; shared, not copied.
        args: positional arguments of the example call.
        kwargs: keyword arguments of the example call.

    Attributes:
        example: the tensors of the example call, in the order of the parameters.
        input_names: names of the parameters.
        input_paths: where each sits in the call, as `img_inputs[0][3]`.
        output_paths: where each output sits in what the module returns.

    Raises:
        DoctorError: the call holds no tensor.
    """

    def __init__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.module = module
        self._call: dict[str, Any] = {"args": args, "kwargs": kwargs}
        self._names_of_args = positional_names(module, len(args))
        found = [(path, leaf) for path, leaf in self._leaves(args, kwargs) if isinstance(leaf, Tensor)]
        if not found:
            raise DoctorError(f"the example call of {type(module).__name__} holds no tensor: nothing can be exported")
        taken = {"self"}
        self.input_paths: tuple[Path, ...] = tuple(path for path, _ in found)
        self.input_names: tuple[str, ...] = tuple(identifier(path, taken) for path in self.input_paths)
        self.example: tuple[Tensor, ...] = tuple(leaf.detach() for _, leaf in found)
        self.output_paths: tuple[Path, ...] = ()
        # Exporters name a graph's inputs after the parameters of forward, so it must have them by name.
        self.forward = MethodType(_forward_with(self.input_names), self)
        self.train(module.training)

    def run(self, tensors: Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
        """What `forward` does, given the tensors as a sequence."""
        args, kwargs = self.call_of(tensors)
        outputs = tensors_out(self.module(*args, **kwargs))
        self.output_paths = tuple(outputs)
        values = tuple(outputs.values())
        return values[0] if len(values) == 1 else values

    def call_of(self, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the wrapped module with these tensors in place of the example's."""
        queue = iter(tensors)
        call = replace_leaves(self._call, lambda _, leaf: next(queue) if isinstance(leaf, Tensor) else leaf)
        return call["args"], call["kwargs"]

    def tensors_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
        """The tensors of another call, which must be built like the example.

        Raises:
            DoctorError: a tensor is missing or more than the example has.
        """
        found = {path: leaf for path, leaf in self._leaves(args, kwargs) if isinstance(leaf, Tensor)}
        if set(found) != set(self.input_paths):
            odd = sorted(set(found) ^ set(self.input_paths))
            raise DoctorError(f"a variation is not built like the example call; tensors in only one of them: {odd}")
        return tuple(found[path] for path in self.input_paths)

    def _leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Path, Any]]:
        positional = [
            leaf for name, value in zip(self._names_of_args, args, strict=True) for leaf in leaves(value, name)
        ]
        return positional + [leaf for name, value in kwargs.items() for leaf in leaves(value, name)]


def flatten(module: nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> FlatModule:
    """Wrap `module` so that it takes and gives tensors only, and prove on the example that the outputs are the same.

    `torch.onnx.export(flat, flat.example, ...)` is then all an exporter needs. The module is shared with the wrapper.
    Warns when an output is a NumPy array: the wrapper gives it as a tensor, but an exporter sees a constant, so apply
    `patch` first.

    Raises:
        DoctorError: there is no tensor in the call, or none in the outputs, or the outputs differ.
    """
    kwargs = kwargs or {}
    flat = FlatModule(module, args, kwargs)
    with torch.no_grad(), state_kept(module):
        returned = module(*clone(args), **clone(kwargs))
    expected = tensors_out(returned)
    if not expected:
        raise DoctorError(f"{type(module).__name__} returned no tensor, only {type(returned).__name__}")
    with torch.no_grad(), state_kept(module):
        got = as_tuple(flat(*clone(flat.example)))
    worst = max(error(a, b) for a, b in zip(got, expected.values(), strict=True))
    if not worst <= _EXACT:
        raise DoctorError(
            f"the flat {type(module).__name__} differs from the module by {worst:.2g} of the largest value on the same "
            "inputs: is the module random, or does it keep state between calls?"
        )
    arrays = [path for path, leaf in leaves(returned, "output") if isinstance(leaf, np.ndarray)]
    if arrays:
        warnings.warn(
            f"{', '.join(arrays)}: a NumPy array. An exporter stores it as a constant; use "
            "occvino.doctor.patch(module) first, or return the tensor",
            stacklevel=2,
        )
    return flat


def input_positions(model: Any, names: Sequence[str]) -> list[int]:
    """Which input of the flat module each input of its OpenVINO model is.

    A frontend may drop an input that nothing depends on, and give one several names, of which `any_name` is any.

    Raises:
        DoctorError: an input of the model is none of the module's.
    """
    if len(model.inputs) == len(names):
        return list(range(len(names)))
    positions: list[int] = []
    for port in model.inputs:
        known = [at for at, name in enumerate(names) if name in port.get_names()]
        if len(known) != 1:
            raise DoctorError(
                f"the model has an input named {sorted(port.get_names())}; the module's are {', '.join(names)}"
            )
        positions += known
    return positions


def as_tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A flat module's output as a tuple, however many there are."""
    return (output,) if isinstance(output, Tensor) else tuple(output)


def positional_names(module: nn.Module, count: int) -> list[str]:
    """Names of the first `count` positional parameters of `forward`; `args[2]` for what `*args` takes."""
    names: list[str] = []
    for parameter in inspect.signature(module.forward).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            rest = range(count - len(names))
            return names + [f"{parameter.name}[{index}]" for index in rest]
        names.append(parameter.name)
    return names[:count]


def _forward_with(names: Sequence[str]) -> Callable[..., Any]:
    """`def forward(self, a, b): return self.run((a, b))` with these names, which `identifier` made."""
    listed = ", ".join(names)
    scope: dict[str, Any] = {}
    exec(f"def forward(self, {listed}):\n    return self.run(({listed},))\n", scope)
    return scope["forward"]
