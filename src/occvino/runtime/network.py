"""The IR compiled, in one piece or in stages, with as many inferences side by side as its devices want."""

import time
from collections.abc import Mapping
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from occvino.errors import DeviceError
from occvino.runtime.devices import Running, Settings, compile_model, has_cpu, running
from occvino.runtime.names import device_name
from occvino.runtime.split import split
from occvino.runtime.stages import CUTS, check_stages, device_of, parts_on


class Network:
    """Named arrays in, named arrays out. Several threads may call it at a time.

    Each stage lends its infer requests out, so that frames of several threads follow one another through the stages.

    Args:
        ir: the `.xml` file, or a model.
        device: any OpenVINO device string.
        stages: a device for each of `stages.CUTS` instead.
        settings: what else is asked for, of every stage; threads only where the CPU runs.
        imported: stages of `device` that are compiled already (`runtime.compiled`), instead of all these.

    Raises:
        DeviceError: the devices or settings cannot be had, or `device` and `stages` contradict each other.
    """

    def __init__(
        self,
        ir: Path | ov.Model,
        device: str = "CPU",
        stages: Mapping[str, str] | None = None,
        settings: Settings | None = None,
        imported: Mapping[str, ov.CompiledModel] | None = None,
    ) -> None:
        settings, device = settings or Settings(), device_name(device)
        model = ov.Core().read_model(ir) if isinstance(ir, Path) else ir
        self._outputs = tuple(output.get_any_name() for output in model.outputs)
        if imported is not None:
            self._stages = {
                name: _Stage(compiled, device_of(name, device), cached=False) for name, compiled in imported.items()
            }
        else:
            self._stages = _compiled_stages(model, device, stages, settings)
        self.parallel = sum(stage.running.requests for stage in self._stages.values())
        """How many frames can be under way at a time."""

    @property
    def running(self) -> Running:
        """What runs, read back now."""
        found = {name: stage.running for name, stage in self._stages.items()}
        return found[""] if "" in found else Running.of_stages(found)

    def __call__(
        self,
        inputs: Mapping[str, NDArray[np.generic]],
        into: Mapping[str, NDArray[Any]] | None = None,
        seconds: dict[str, float] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Run all stages; gives copies of the IR's outputs by name, but writes those of `into` there.

        How long each stage took, waiting for a free request included, is written to `seconds`, by name.
        """
        values: dict[str, NDArray[Any]] = dict(inputs)
        for name, stage in self._stages.items():
            start = time.perf_counter()
            values |= stage.run(values, into or {})
            if seconds is not None:
                seconds[name] = time.perf_counter() - start
        return {name: values[name] for name in self._outputs}


class _Stage:
    """One compiled model and its infer requests. A model of one image, or of one frame, is run once for each."""

    def __init__(self, compiled: ov.CompiledModel, device: str, *, cached: bool) -> None:
        self._compiled = compiled
        self._device, self._cached = device, cached
        self._inputs = [value.get_any_name() for value in compiled.inputs]
        self._outputs = [value.get_any_name() for value in compiled.outputs]
        self._requests: LifoQueue[ov.InferRequest] = LifoQueue()
        for _ in range(self.running.requests):
            self._requests.put(self._compiled.create_infer_request())

    @property
    def running(self) -> Running:
        return running(self._compiled, self._device, cache=self._cached)

    def run(self, values: Mapping[str, NDArray[Any]], into: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        request = self._requests.get()
        times = self._times(values)
        if times > 1:
            try:
                return self._one_by_one(request, values, into, times)
            finally:
                self._requests.put(request)
        kept = {name: into[name] for name in self._outputs if name in into}
        try:
            for name, array in kept.items():
                request.set_tensor(name, ov.Tensor(array, shared_memory=True))
            found = request.infer({name: values[name] for name in self._inputs}, share_inputs=True)
            return {name: np.array(found[name]) for name in self._outputs if name not in kept} | kept
        finally:
            self._requests.put(request)

    def _times(self, values: Mapping[str, NDArray[Any]]) -> int:
        """How many times as many images, or frames, as the model takes were given."""
        first = self._inputs[0]
        given, taken = values[first].shape, self._compiled.input(first).shape
        return given[0] // taken[0] if given and tuple(given) != tuple(taken) else 1

    def _one_by_one(
        self,
        request: ov.InferRequest,
        values: Mapping[str, NDArray[Any]],
        into: Mapping[str, NDArray[Any]],
        times: int,
    ) -> dict[str, NDArray[Any]]:
        """Outputs are written to their places in arrays of all."""
        made: dict[str, NDArray[Any]] = {}
        for name in self._outputs:
            port = self._compiled.output(name)
            first, *rest = port.shape
            made[name] = into[name] if name in into else np.empty([times * first, *rest], port.element_type.to_dtype())
        for index in range(times):
            for name, array in made.items():
                request.set_tensor(name, ov.Tensor(_piece(array, index, times), shared_memory=True))
            request.infer({name: _piece(values[name], index, times) for name in self._inputs}, share_inputs=True)
        return made


def _piece(array: NDArray[Any], index: int, times: int) -> NDArray[Any]:
    """One of so many that follow one another."""
    size = len(array) // times
    return array[index * size : (index + 1) * size]


def _compiled_stages(
    model: ov.Model, device: str, stages: Mapping[str, str] | None, settings: Settings
) -> "dict[str, _Stage]":
    if stages is None:
        parts = parts_on(device, model)
        devices = {name: device_of(name, device) for name in parts}
    elif device != "CPU":
        raise DeviceError(f"device={device} and stages contradict each other: give one of the two")
    else:
        check_stages(stages)
        stages = {name: device_name(asked) for name, asked in stages.items()}
        if settings.threads is not None and not any(map(has_cpu, stages.values())):
            raise DeviceError(
                f"threads={settings.threads} was asked for, and no stage runs on the CPU, whose they are: leave "
                "threads out"
            )
        parts, devices = split(model, CUTS), stages
    found: dict[str, _Stage] = {}
    for name, part in parts.items():
        asked = settings.beside() if stages is None and devices[name] != device else settings
        asked = asked.of_stage(devices[name]) if stages is not None else asked
        found[name] = _Stage(compile_model(part, devices[name], asked), devices[name], cached=asked.cache is not None)
    return found
