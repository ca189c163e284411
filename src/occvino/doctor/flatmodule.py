"""The module that `flatten` makes: tensors in, tensors out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from occvino.doctor.arrays import TensorArray, followed
from occvino.doctor.calls import Path, identifier, leaves, replace_leaves, tensors_out
from occvino.doctor.findings import DoctorError

Axes = dict[str, set[int]]
"""Axes of each input that may change their length."""


class FlatModule(nn.Module):
    """`forward(first, second, ...)`: one tensor a parameter, in, and a tensor or a tuple of tensors out.

    What of the example call was no tensor - flags, None, strings - is held as it was; arrays and numbers in metadata
    are inputs where `lifted` says so. It computes without gradients: checkpointing, as of `with_cp=True`, needs them.

    Args:
        module: the wrapped module; shared, not copied.
        args: positional arguments of the example call.
        kwargs: keyword arguments of the example call.
        lifted: paths of what is no tensor and becomes an input, from the whole call: `['args'][1][0]['lidar2img']`.

    Attributes:
        numpy_functions: those that the module called on what was lifted, and that torch computed instead.
        example: the tensors of the example call, in the order of the parameters.
        shapes: their shapes, for `openvino.convert_model(flat, example_input=flat.example, input=flat.shapes)`. Without
            them all shapes are dynamic, and what OpenVINO computes then was not looked at: BEVDepth's lift is wrong.
        input_names: names of the parameters.
        input_paths: where each sits in the call, as `img_inputs[0][3]`.
        output_paths: where each output sits in what the module returns.

    Raises:
        DoctorError: the call holds no tensor.
    """

    def __init__(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        lifted: frozenset[Path] = frozenset(),
    ) -> None:
        super().__init__()
        self.module = module
        self._call: dict[str, Any] = {"args": args, "kwargs": kwargs}
        self._names_of_args = positional_names(module, len(args))
        self.lifted = lifted
        self.numpy_functions: set[str] = set()
        found = [(path, leaf) for path, raw, leaf in self._leaves(args, kwargs) if self._is_input(raw, leaf)]
        if not found:
            raise DoctorError(f"the example call of {type(module).__name__} holds no tensor: nothing can be exported")
        taken = {"self"}
        self.input_paths: tuple[Path, ...] = tuple(path for path, _ in found)
        self.input_names: tuple[str, ...] = tuple(identifier(path, taken) for path in self.input_paths)
        self.example: tuple[Tensor, ...] = tuple(
            leaf.detach() if isinstance(leaf, Tensor) else torch.as_tensor(np.array(leaf)) for _, leaf in found
        )
        self.lifted_positions = [at for at, (_, leaf) in enumerate(found) if not isinstance(leaf, Tensor)]
        self.output_paths: tuple[Path, ...] = ()
        # Exporters name a graph's inputs after the parameters of forward, so it must have them by name.
        self.forward = MethodType(_forward_with(self.input_names), self)
        self.train(module.training)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the example's tensors, in the order of the parameters."""
        return self.shapes_with({})

    def shapes_with(self, axes: Axes) -> list[tuple[int, ...]]:
        """The example's shapes, with -1 for the lengths that may change."""
        return [
            tuple(-1 if axis in axes.get(name, ()) else length for axis, length in enumerate(tensor.shape))
            for name, tensor in zip(self.input_names, self.example, strict=True)
        ]

    def dynamic_shapes(self, axes: Axes) -> tuple[dict[int, Any] | None, ...] | None:
        """`dynamic_shapes` of `torch.export` and `torch.onnx.export`; None where every length stays."""
        if not axes:
            return None
        dynamic = torch.export.Dim.DYNAMIC
        return tuple(dict.fromkeys(sorted(axes.get(name, ())), dynamic) or None for name in self.input_names)

    def run(self, tensors: Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
        """What `forward` does, given the tensors as a sequence."""
        args, kwargs = self.call_of(tensors, as_tensors=True)
        with torch.no_grad() if torch.is_grad_enabled() else nullcontext():
            if self.lifted:
                with followed() as functions:
                    output = self.module(*args, **kwargs)
                self.numpy_functions.update(functions)
            else:
                output = self.module(*args, **kwargs)
        outputs = tensors_out(output)
        self.output_paths = tuple(outputs)
        values = tuple(outputs.values())
        return values[0] if len(values) == 1 else values

    def call_of(self, tensors: Sequence[Tensor], *, as_tensors: bool = False) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the wrapped module with these tensors in place of the example's.

        What was lifted comes as the array or the number that it was - or, with `as_tensors`, as what a graph follows.
        """
        queue = iter(tensors)

        def swap(raw: Path, leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                return next(queue)
            if raw not in self.lifted:
                return leaf
            tensor = next(queue)
            if as_tensors:
                return TensorArray(tensor, raw, number=isinstance(leaf, float))
            return float(tensor) if isinstance(leaf, float) else tensor.numpy().astype(leaf.dtype)

        call = replace_leaves(self._call, swap)
        return call["args"], call["kwargs"]

    def shown(self, raw: Path) -> Path:
        """A path from the whole call as the user would write it."""
        return next(path for path, other, _ in self._leaves(self._call["args"], self._call["kwargs"]) if other == raw)

    def _is_input(self, raw: Path, leaf: Any) -> bool:
        return isinstance(leaf, Tensor) or raw in self.lifted

    def tensors_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
        """The tensors of another call, which must be built like the example.

        Raises:
            DoctorError: a tensor is missing or more than the example has.
        """
        found = {
            path: leaf if isinstance(leaf, Tensor) else torch.as_tensor(np.array(leaf))
            for path, raw, leaf in self._leaves(args, kwargs)
            if self._is_input(raw, leaf)
        }
        if set(found) != set(self.input_paths):
            odd = sorted(set(found) ^ set(self.input_paths))
            raise DoctorError(f"a variation is not built like the example call; tensors in only one of them: {odd}")
        return tuple(found[path] for path in self.input_paths)

    def _leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Path, Path, Any]]:
        """Each leaf with its path as the user would write it, and its path from the whole call."""
        positional = [
            leaf for name, value in zip(self._names_of_args, args, strict=True) for leaf in leaves(value, name)
        ]
        named = positional + [leaf for name, value in kwargs.items() for leaf in leaves(value, name)]
        raw = leaves({"args": args, "kwargs": kwargs})
        return [(path, other, leaf) for (path, leaf), (other, _) in zip(named, raw, strict=True)]


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
