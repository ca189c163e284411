"""One examination: the module, the call, and what running and exporting it showed. Each is done once, when asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from occvino.doctor.agreement import AGREES, Judgement, agrees, judge
from occvino.doctor.calls import clone, tensors_out
from occvino.doctor.decisions import Crossing, crossings_of
from occvino.doctor.findings import DoctorError
from occvino.doctor.flatmodule import Axes, FlatModule
from occvino.doctor.metadata import metadata_of
from occvino.doctor.places import Place
from occvino.doctor.routes import ALL_ROUTES, Attempt, Route, attempt
from occvino.doctor.varied import Varied
from occvino.doctor.vary import variants_of
from occvino.doctor.watch import Call, Observation, code_of_forward, observe


class Case:
    """What all checks share.

    Args:
        module: examined in evaluation mode; parameters and buffers are left as they were.
        args: positional arguments of the example call.
        kwargs: its keyword arguments.
        devices: OpenVINO devices asked for.
        variations: other calls, as (args, kwargs), that the module must take.
        routes: ways out of PyTorch to try.
        quick: stop at the first route that gives OpenVINO a good graph.
        progress: is told of each step as it begins.

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
        quick: bool = False,
        progress: Callable[[str], Any] = lambda step: None,
    ) -> None:
        self.module, self.args, self.kwargs = module, args, kwargs
        self.devices, self.variations, self.routes = tuple(devices), tuple(variations), tuple(routes)
        self.quick, self._progress, self._step = quick, progress, ""
        self.verdicts: dict[Route, str] = {}
        self.ties: list[Place] = []
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
        with self.timed("metadata"):
            self.metadata = metadata_of(module, args, kwargs)
        self.flat = FlatModule(module, args, kwargs, self.metadata.lifted)

    @contextmanager
    def timed(self, step: str) -> Generator[None, None, None]:
        """Add the time spent inside to a step of the report, and say that it begins."""
        if step != self._step:
            self._step = step
            self._progress(step)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start

    def attempt(self, route: Route) -> Attempt:
        """The graph of a route, made when first asked."""
        if route not in self._attempts:
            source = self._attempts.get(route.reads) if route.reads else None
            if source is not None and source.run is None and source.graph is None:
                return self._attempts.setdefault(route, replace(source, route=route))
            with self.timed(f"export {route.value}"):
                self._attempts[route] = attempt(route, self.flat, file=source.graph if source else None)
        return self._attempts[route]

    @property
    def reached(self) -> Route | None:
        """The first route whose OpenVINO model agrees on changed inputs."""
        return next((r for r, said in self.verdicts.items() if r.is_openvino and is_reached(said)), None)

    def skip(self, route: Route) -> None:
        """A route that need not be tried: the checks that follow do not ask for it."""
        self.routes = tuple(r for r in self.routes if r is not route)

    @property
    def axes(self) -> Axes:
        """Axes of the inputs whose length differs in some variation: those that a graph must leave open."""
        flat, found = self.flat, dict[str, set[int]]()
        for args, kwargs in self.variations:
            for name, before, now in zip(flat.input_names, flat.example, flat.tensors_of(args, kwargs), strict=True):
                if before.dim() != now.dim():
                    return {n: set(range(t.dim())) for n, t in zip(flat.input_names, flat.example, strict=True)}
                changed = {axis for axis in range(now.dim()) if before.shape[axis] != now.shape[axis]}
                if changed:
                    found.setdefault(name, set()).update(changed)
        return found

    def attempt_dynamic(self, route: Route) -> Attempt:
        """A graph of the route whose lengths are open where the variations change them."""
        with self.timed(f"export {route.value}"):
            return attempt(route, self.flat, self.axes)

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

        What another route reads stays until that has read it; of OpenVINO's graphs, the one that agrees, or the first.
        """
        done = self._attempts[route]
        others = [a for a in self._attempts.values() if a.route is not route and a.route.is_openvino and a.graph]
        kept = route is self.reached or not others if route.is_openvino else any(r.reads is route for r in self.routes)
        self._attempts[route] = replace(done, run=None, graph=done.graph if kept else None)
        over = [other.route for other in others] if route is self.reached else []
        for needless in [*over, *([route.reads] if route.reads in self._attempts else [])]:
            self._attempts[needless] = replace(self._attempts[needless], graph=None)

    def judge_by(self, original: Case) -> None:
        """Take changed inputs, and what is right for them, from the case of the module that this one was made from."""
        if self.flat.input_paths == original.flat.input_paths and len(self.outputs) == len(original.outputs):
            self.varied = original.varied

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs of the example call."""
        return self.flat.example

    @cached_property
    def example(self) -> Varied:
        """The example call, as a variation in which nothing changed."""
        return Varied(self.flat.example, self.outputs, tuple(self.base.events), frozenset())

    def judged(self, got: Sequence[Tensor], varied: Varied) -> Judgement:
        """Whether a graph gives what the module gave, but for rounding, borders of cells and the order of equals."""
        verdict = judge(self.module, self.flat.call_of(varied.inputs), got, varied.outputs, self.base)
        if verdict.ties:
            self.ties = list(dict.fromkeys([*self.ties, *verdict.ties]))
        return verdict

    @cached_property
    def crossings(self) -> tuple[Crossing, ...]:
        """For each length or number that decides in Python: a call that takes the other side, if one was found."""
        with self.timed("cross"):
            return crossings_of(self)  # pyright: ignore[reportArgumentType] - a cached property is a property

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

    def run_varied(
        self, inputs: tuple[Tensor, ...], changed: frozenset[int], seen: Observation | None = None
    ) -> Varied | None:
        """The module on these inputs; None when it refuses them or gives something that is not a number.

        `seen` then holds what it did before it refused.
        """
        args, kwargs = self.flat.call_of(clone(inputs))
        try:
            seen = observe(self.module, args, kwargs, seen)
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


def is_reached(verdict: str) -> bool:
    """A route's graph agrees on changed inputs."""
    return verdict.startswith(AGREES) and verdict.endswith("on other inputs")
