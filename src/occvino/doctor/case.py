"""One examination: the module, the call, and what running and exporting it showed. Each is done once, when asked."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from occvino.doctor.calls import clone, error, tensors_out
from occvino.doctor.findings import DoctorError
from occvino.doctor.flatten import FlatModule
from occvino.doctor.places import Place
from occvino.doctor.routes import ALL_ROUTES, Attempt, Axes, Route, attempt
from occvino.doctor.vary import variants_of
from occvino.doctor.watch import Call, Event, Observation, code_of_forward, observe

TOLERANCE = 1e-3
"""Largest error, of the largest value of an output, that is taken for rounding."""
LABEL_TOLERANCE = 0.01
"""Share of an integer output's elements that may differ: ties and bin borders fall either way."""


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


class Case:
    """What all checks share.

    Args:
        module: examined in evaluation mode; parameters and buffers are left as they were.
        args: positional arguments of the example call.
        kwargs: its keyword arguments.
        devices: OpenVINO devices asked for.
        variations: other calls, as (args, kwargs), that the module must take.
        routes: ways out of PyTorch to try.

    Raises:
        DoctorError: the module fails on its own example.
    """

    def __init__(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        devices: Sequence[str] = ("CPU",),
        variations: Sequence[Call] = (),
        routes: Sequence[Route] = ALL_ROUTES,
    ) -> None:
        self.module, self.args, self.kwargs = module, args, kwargs
        self.devices, self.variations, self.routes = tuple(devices), tuple(variations), tuple(routes)
        self.verdicts: dict[Route, str] = {}
        self.seconds: dict[str, float] = {}
        self._attempts: dict[Route, Attempt] = {}
        with self.timed("run"):
            try:
                self.base: Observation = observe(module, clone(args), clone(kwargs))
            except Exception as failure:
                raise DoctorError(
                    f"{type(module).__name__} fails on its own example call: {type(failure).__name__}: {failure}. "
                    "The doctor starts from a call that works in PyTorch"
                ) from failure
        self.outputs = tuple(tensors_out(self.base.output).values())
        if not self.outputs:
            raise DoctorError(
                f"{type(module).__name__} returned no tensor, array or number, only "
                f"{type(self.base.output).__name__}: there is nothing to compare"
            )
        self.flat = FlatModule(module, args, kwargs)

    @contextmanager
    def timed(self, step: str) -> Generator[None, None, None]:
        """Add the time spent inside to a step of the report."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start

    def attempt(self, route: Route) -> Attempt:
        """The graph of a route, made when first asked."""
        if route not in self._attempts:
            dynamo = self._attempts.get(Route.DYNAMO)
            if route is Route.VIA_ONNX and dynamo is not None and dynamo.run is None and dynamo.graph is None:
                return self._attempts.setdefault(route, Attempt(route, failure=dynamo.failure, place=dynamo.place))
            with self.timed(f"export {route.value}"):
                self._attempts[route] = attempt(route, self.flat, file=dynamo.graph if dynamo else None)
        return self._attempts[route]

    def attempt_dynamic(self, route: Route, axes: Axes) -> Attempt:
        """A graph of the route with those axes dynamic."""
        with self.timed(f"export {route.value}"):
            return attempt(route, self.flat, axes)

    def attempts(self) -> list[Attempt]:
        """Every route."""
        return [self.attempt(route) for route in self.routes]

    def good(self, route: Route) -> bool:
        """The route gave a graph, and nothing was found against it so far."""
        return not self.attempt(route).failure and self.verdicts.get(route, "agrees").startswith("agrees")

    def reaches_openvino(self) -> bool:
        """Whether a route gives OpenVINO a good graph; where none to OpenVINO is tried, whether any route is good."""
        to_openvino = [route for route in self.routes if "openvino" in route.value]
        return any(self.good(route) for route in to_openvino or self.routes)

    def fail(self, route: Route, why: str) -> None:
        """A graph that was made is of no use."""
        self._attempts[route] = replace(self._attempts[route], failure=why)

    def release(self, route: Route) -> None:
        """Forget how to run a route's graph, and the graph unless it is still needed: each is as large as the module.

        `Route.VIA_ONNX` reads what `Route.DYNAMO` wrote; the device check takes the first OpenVINO graph there is.
        """
        done = self._attempts[route]
        others = [a for a in self._attempts.values() if a.route is not route and _is_openvino(a)]
        waited_for = route is Route.DYNAMO and Route.VIA_ONNX in self.routes
        graph = done.graph if waited_for or (_is_openvino(done) and not others) else None
        self._attempts[route] = replace(done, run=None, graph=graph)
        if route is Route.VIA_ONNX and Route.DYNAMO in self._attempts:
            self._attempts[Route.DYNAMO] = replace(self._attempts[Route.DYNAMO], graph=None)

    @cached_property
    def varied(self) -> Varied | None:
        """All inputs changed at once, as far as the module takes it; None when it takes no change."""
        with self.timed("vary"):
            return self._joint() or self._widest(range(len(self.flat.example)))

    @cached_property
    def varied_floats(self) -> Varied | None:
        """All floating-point inputs changed at once. Integers that belong together (ranks, offsets) stay valid."""
        with self.timed("vary"):
            return self._widest([at for at, t in enumerate(self.flat.example) if t.is_floating_point()])

    @cached_property
    def alone(self) -> dict[int, Varied]:
        """For each input that the outputs depend on, a run in which only it changed."""
        runs = {index: self._varied_alone(index) for index in range(len(self.flat.example))}
        return {index: varied for index, varied in runs.items() if varied is not None}

    def _varied_alone(self, index: int) -> Varied | None:
        """One input changed; None when the module takes no change of it or gives the same."""
        with self.timed("vary"):
            for value in variants_of(self.flat.example[index]):
                inputs = tuple(value if at == index else t for at, t in enumerate(self.flat.example))
                varied = self.run_varied(inputs, frozenset({index}))
                if varied is not None and not agrees(varied.outputs, self.outputs, exact=True):
                    return varied
            return None

    def run_varied(self, inputs: tuple[Tensor, ...], changed: frozenset[int]) -> Varied | None:
        """The module on these inputs; None when it refuses them or gives something that is not a number."""
        args, kwargs = self.flat.call_of(clone(inputs))
        try:
            seen = observe(self.module, args, kwargs)
        except Exception:  # not every value is valid for a module: then another one is tried
            return None
        outputs = tuple(tensors_out(seen.output).values())
        if any(o.is_floating_point() and not bool(o.isfinite().any()) for o in outputs if o.numel()):
            return None
        return Varied(inputs, outputs, tuple(seen.events), changed)

    def forward_place(self) -> Place | None:
        """The line on which the module's `forward` is defined."""
        code = code_of_forward(self.module)
        return Place.of(code.co_filename, code.co_firstlineno, code.co_name) if code else None

    def _joint(self) -> Varied | None:
        firsts = [next(variants_of(value, seed), value) for seed, value in enumerate(self.flat.example)]
        return self.run_varied(tuple(firsts), frozenset(range(len(firsts))))

    def _widest(self, indices: Sequence[int]) -> Varied | None:
        """Inputs changed one after the other, each change kept if the module takes it."""
        best: Varied | None = None
        for index in indices:
            value = self.flat.example[index]
            inputs = best.inputs if best else self.flat.example
            for other in variants_of(value, index):
                trial = (*inputs[:index], other, *inputs[index + 1 :])
                varied = self.run_varied(trial, (best.changed if best else frozenset()) | {index})
                if varied is not None:
                    best = varied
                    break
        return best


def agrees(actual: Sequence[Tensor], expected: Sequence[Tensor], *, exact: bool = False) -> bool:
    """Equal up to rounding - or, with `exact`, equal but for the last digits."""
    if len(actual) != len(expected):
        return False
    return all(
        distance(a, b) <= (1e-6 if exact else LABEL_TOLERANCE if is_label(b) else TOLERANCE)
        for a, b in zip(actual, expected, strict=True)
    )


def distance(actual: Tensor, expected: Tensor) -> float:
    """`calls.error` of floats; of integers and booleans the share that differs; infinite for other shapes."""
    if actual.shape != expected.shape:
        return float("inf")
    if is_label(expected):
        return int((actual != expected).sum()) / max(expected.numel(), 1)
    return error(actual, expected)


def worst(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Largest `distance` over the outputs; infinite when their number differs."""
    if len(actual) != len(expected):
        return float("inf")
    return max((distance(a, b) for a, b in zip(actual, expected, strict=True)), default=0.0)


def _is_openvino(done: Attempt) -> bool:
    return done.route in (Route.OPENVINO, Route.VIA_ONNX) and done.graph is not None


def is_label(tensor: Tensor) -> bool:
    """Its values are names, not magnitudes."""
    return not tensor.is_floating_point() and not tensor.is_complex()
