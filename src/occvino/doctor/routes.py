"""The ways out of PyTorch: each turns a flat module into something that runs without PyTorch, or says why not."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from occvino.bev_pool import openvino_extensions
from occvino.doctor.flatmodule import Axes, FlatModule, input_positions
from occvino.doctor.onnxfile import OnnxFile, export_dynamo, export_legacy
from occvino.doctor.places import Place, is_user_file, place_of_error
from occvino.doctor.refusals import Refusal, refusals, summary
from occvino.doctor.state import state_kept
from occvino.doctor.trial import TRIAL


class Route(Enum):
    """A way from PyTorch to a graph, with what runs the graph here."""

    LEGACY = "legacy"
    DYNAMO = "dynamo"
    OPENVINO = "openvino"
    VIA_ONNX = "dynamo+openvino"
    VIA_LEGACY = "legacy+openvino"
    EXPORTED = "export+openvino"

    @property
    def title(self) -> str:
        """How a user calls it."""
        return {
            Route.LEGACY: "torch.onnx.export(dynamo=False), ONNX Runtime",
            Route.DYNAMO: "torch.onnx.export(dynamo=True), ONNX Runtime",
            Route.OPENVINO: "openvino.convert_model(module), CPU",
            Route.VIA_ONNX: "torch.onnx.export(dynamo=True), OpenVINO CPU",
            Route.VIA_LEGACY: "torch.onnx.export(dynamo=False), OpenVINO CPU",
            Route.EXPORTED: "torch.export.export, OpenVINO CPU",
        }[self]

    @property
    def reads(self) -> Route | None:
        """The route whose file this one reads."""
        return {Route.VIA_ONNX: Route.DYNAMO, Route.VIA_LEGACY: Route.LEGACY}.get(self)

    @property
    def is_openvino(self) -> bool:
        """It ends in an `openvino.Model`."""
        return self not in (Route.LEGACY, Route.DYNAMO)

    @property
    def is_spare(self) -> bool:
        """Tried only where no other route ends in an OpenVINO model that agrees: each is one more export."""
        return self in (Route.VIA_LEGACY, Route.EXPORTED)


ALL_ROUTES = tuple(Route)


@dataclass(frozen=True)
class Attempt:
    """What became of one route.

    Args:
        run: tensors in the order of the flat module's inputs -> its outputs; None when the route failed.
        nodes: operator types in the graph, `domain::type` where the domain is not ONNX's or OpenVINO's own.
        graph: the `openvino.Model`, or the `OnnxFile`.
        failure: why it failed, shortly; empty when it did not.
        place: the user's line that it failed at.
        warned: lines at which a tracer said that it froze a value.
        refusals: the operators that OpenVINO's frontend named, each with its reason.
    """

    route: Route
    run: Callable[[Sequence[Tensor]], list[Tensor]] | None = None
    nodes: frozenset[str] = frozenset()
    graph: Any = None
    failure: str = ""
    place: Place | None = None
    warned: tuple[Place, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def attempt(
    route: Route,
    flat: FlatModule,
    axes: Axes | None = None,
    *,
    file: OnnxFile | None = None,
    sampled: bool = False,
) -> Attempt:
    """Export by one route; nothing is printed or left on disk.

    Args:
        route: the way.
        flat: what to export.
        axes: axes to declare dynamic.
        file: spares a route the export that the one it reads has done.
        sampled: the outputs are samples of what the module computes on the way, which is large.
    """
    warned: list[warnings.WarningMessage] = []
    try:
        with quiet() as warned, torch.no_grad(), state_kept(flat):
            if file is None and route in (Route.LEGACY, Route.VIA_LEGACY):
                file = export_legacy(flat, axes or {})
            elif file is None and route in (Route.DYNAMO, Route.VIA_ONNX):
                file = export_dynamo(flat, axes or {})
            made = _made(route, flat, axes or {}, file, sampled)
    except Exception as failure:  # an exporter may raise anything: whatever it is, it is the finding
        return Attempt(
            route,
            graph=None if route.is_openvino else file,  # another engine may take what this one refuses
            failure=summary(failure),
            place=place_of_error(failure),
            warned=_frozen_at(warned),
            refusals=refusals(str(failure)),
        )
    return Attempt(route, made.run, made.nodes, made.graph, warned=_frozen_at(warned))


@contextlib.contextmanager
def quiet() -> Generator[list[warnings.WarningMessage], None, None]:
    """Exporters print graphs, logs and progress; gives the list that collects their warnings."""
    sink = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        _muted(1),
        _muted(2),
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
    ):
        warnings.simplefilter("always")
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            yield caught
        finally:
            logging.disable(before)


@contextlib.contextmanager
def _muted(descriptor: int) -> Generator[None, None, None]:
    """PyTorch's C++ prints the whole graph of a failed export past Python's streams."""
    try:
        saved = os.dup(descriptor)
    except OSError:  # the process has no such stream: nothing can be printed either
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        yield
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)
        os.close(nowhere)


def _frozen_at(caught: list[warnings.WarningMessage]) -> tuple[Place, ...]:
    tracer = torch.jit.TracerWarning  # pyright: ignore[reportPrivateImportUsage]
    places = [Place.of(w.filename, w.lineno) for w in caught if issubclass(w.category, tracer)]
    return tuple(dict.fromkeys(place for place in places if is_user_file(place.file)))


@dataclass(frozen=True)
class _Made:
    run: Callable[[Sequence[Tensor]], list[Tensor]]
    nodes: frozenset[str]
    graph: Any = None


def _made(route: Route, flat: FlatModule, axes: Axes, file: OnnxFile | None, sampled: bool) -> _Made:
    import openvino as ov

    if route is Route.OPENVINO:
        shapes = flat.shapes_with(axes)
        return _in_openvino(ov.convert_model(flat, example_input=flat.example, input=shapes), flat)
    if route is Route.EXPORTED:
        return _in_openvino(ov.convert_model(_exported(flat, axes)), flat)
    assert file is not None
    if not route.is_openvino:
        return _in_onnxruntime(file, flat, sampled)
    # Our own node is read by the extension, and the frontend would not expand its function.
    return _in_openvino(ov.convert_model(str(file.plain), extension=openvino_extensions()), flat)


def _exported(flat: FlatModule, axes: Axes) -> Any:
    return torch.export.export(flat, flat.example, dynamic_shapes=flat.dynamic_shapes(axes), strict=False)


def _in_onnxruntime(file: OnnxFile, flat: FlatModule, sampled: bool) -> _Made:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False  # it would keep the peak of the first run
    if sampled:  # by default every sample is taken at the end, and all that is sampled kept until then
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.intra_op_num_threads = torch.get_num_threads()
    session = ort.InferenceSession(str(file.runnable), options, providers=["CPUExecutionProvider"])
    kept = {value.name for value in session.get_inputs()}

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        feed = {name: _array(t) for name, t in zip(flat.input_names, tensors, strict=True) if name in kept}
        return [_tensor(value, tensors) for value in session.run(None, feed)]

    return _Made(run, file.nodes, file)


def _in_openvino(model: Any, flat: FlatModule) -> _Made:
    import openvino as ov

    nodes = frozenset(str(op.get_type_name()) for op in model.get_ops())
    position = input_positions(model, flat.input_names)
    TRIAL.compiles(model)
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = ov.compile_model(model, "CPU", exact)

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        results = compiled([_array(tensors[at]) for at in position])
        return [_tensor(results[port], tensors) for port in compiled.outputs]

    return _Made(run, nodes, model)


def _array(tensor: Tensor) -> Any:
    return np.asarray(tensor.detach().cpu().numpy(), order="C")  # `ascontiguousarray` gives a number a dimension


def _tensor(value: Any, inputs: Sequence[Tensor]) -> Tensor:
    """Where the module's own outputs are, with which it will be compared."""
    return torch.from_numpy(np.array(value)).to(inputs[0].device)
