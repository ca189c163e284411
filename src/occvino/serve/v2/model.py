"""A `Pipeline` as a model of kserve's."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse
from kserve.model import InferenceModel, InferenceVerb
from numpy.typing import NDArray

from occvino.errors import OccvinoError
from occvino.runtime.occupancy import Occupancy
from occvino.runtime.pipeline import Pipeline
from occvino.serve.frame import CAMERAS, Contract

LABELS, INSTANCES = "labels", "instances"
CLASS_NAMES = "class_names"
"""A parameter of the response, as `cameras`: a JSON list."""
VERSION = "1"


class OccupancyModel(InferenceModel):
    """Labels of one frame a request. Requests are computed by threads, so that the server hears others meanwhile.

    Args:
        name: that clients call it by.
        pipeline: runs it. It must remember nothing from frame to frame, since requests of all clients are mixed.
        most_bytes: of a request's images when decoded.
        threads: requests that are worked on at a time; their idle ones decode images for the others.

    Raises:
        OccvinoError: the artifact takes several frames.
    """

    def __init__(self, name: str, pipeline: Pipeline, most_bytes: int, threads: int) -> None:
        super().__init__(name)
        variant = pipeline.artifact.variant
        if variant.frames > 1:
            raise OccvinoError(
                f"{pipeline.artifact.path} is {variant.name}, which takes {variant.frames} frames, and a request has "
                "one: serve a model of one frame, or run this one by `occvino run --sequence`"
            )
        self.contract = Contract.of_artifact(pipeline.artifact, most_bytes)
        self._pipeline = pipeline
        self._threads = ThreadPoolExecutor(threads, "occvino-serve")
        self._parameters = {
            CAMERAS: json.dumps(self.contract.cameras),
            CLASS_NAMES: json.dumps(variant.class_names),
        }

    async def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]  # its stub leaves the headers out
        self,
        body: InferRequest,
        headers: Mapping[str, str] | None = None,
        verb: InferenceVerb = InferenceVerb.PREDICT,
    ) -> tuple[InferResponse, dict[str, str]]:
        """The response, and headers for it: none. Errors are those of `Contract.frame` and of a `Pipeline`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._answer, body), {}

    def _answer(self, request: InferRequest) -> InferResponse:
        parameters: dict[str, Any] = {} if request.parameters is None else _plain(request.parameters)
        frame = self.contract.frame(request.inputs, parameters)
        prepared = self._pipeline.prepare(frame, self._threads)
        found = self._pipeline.finish(prepared, self._pipeline.infer(prepared))
        return InferResponse(
            response_id=request.id or "",
            model_name=self.name,
            model_version=VERSION,
            infer_outputs=_outputs(found),
            parameters=dict(self._parameters),
            use_binary_outputs=request.use_binary_outputs,
            requested_outputs=request.request_outputs,
        )

    def close(self) -> None:
        """End its threads, once they are done."""
        self._threads.shutdown()

    def get_input_types(self) -> list[dict[str, Any]]:
        """Of the protocol's metadata."""
        return self.contract.inputs()

    def get_output_types(self) -> list[dict[str, Any]]:
        """Of the protocol's metadata."""
        variant = self._pipeline.artifact.variant
        shape = list(variant.occupancy_grid.shape)
        labels = [{"name": LABELS, "datatype": "UINT8", "shape": shape}]
        return labels + [{"name": INSTANCES, "datatype": "UINT16", "shape": shape}] * bool(variant.panoptic)


def _outputs(found: Occupancy) -> list[InferOutput]:
    labels = _output(LABELS, "UINT8", found.labels)
    return [labels] if found.instances is None else [labels, _output(INSTANCES, "UINT16", found.instances)]


def _output(name: str, kind: str, values: NDArray[Any]) -> InferOutput:
    """As bytes, whichever form the client asked for: kserve makes numbers of them where JSON was wanted."""
    output = InferOutput(name, list(values.shape), kind)
    output.set_data_from_numpy(values, binary_data=True)
    return output


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as values: gRPC has them in a message with a field for each type."""
    return {
        name: getattr(value, value.WhichOneof("parameter_choice")) if hasattr(value, "WhichOneof") else value
        for name, value in parameters.items()
    }
