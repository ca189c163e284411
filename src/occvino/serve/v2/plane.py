"""kserve's data plane, with what it lacks for tensors of megabytes.

kserve turns each tensor that follows the JSON of an HTTP request into a Python list, number by number, and takes bytes
for UTF-8, which no JPEG is. Here the bytes stay bytes.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from kserve import InferInput, InferRequest, ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.infer_type import RequestedOutput

from occvino import __version__
from occvino.serve.failures import RequestError
from occvino.serve.v2.model import VERSION, OccupancyModel

JSON_LENGTH = "inference-header-content-length"


class Plane(DataPlane):
    """What HTTP and gRPC ask: one model, of one version."""

    def __init__(self, model: OccupancyModel) -> None:
        repository = ModelRepository()
        repository.update(model)
        super().__init__(repository)
        self._only = model.name

    def check(self, name: str, version: str | None = None) -> None:
        """See that a request is for the model that there is.

        Raises:
            RequestError: it is not.
        """
        if name != self._only:
            raise RequestError(404, f"there is no model {name[:200]!r} here: this server has {self._only!r}")
        if version not in (None, "", VERSION):
            raise RequestError(404, f"{name} has no version {version[:50]!r} here, but {VERSION!r}")

    def metadata(self) -> dict[str, Any]:
        """Of the server."""
        return {"name": "occvino", "version": __version__, "extensions": ["binary_tensor_data"]}

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        """Of the model."""
        self.check(model_name)
        return {**await super().model_metadata(model_name), "platform": "openvino", "versions": [VERSION]}

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:
        """Whether the model is ready."""
        self.check(model_name)
        return await super().model_ready(model_name, disable_predictor_health_check)

    async def infer(  # pyright: ignore[reportIncompatibleMethodOverride]  # requests of v1 never come here
        self, model_name: str, request: InferRequest, headers: Mapping[str, str] | None = None
    ) -> tuple[Any, dict[str, str]]:
        """The response to a request of either side."""
        self.check(model_name, request.model_version)
        return await super().infer(model_name, request, None if headers is None else dict(headers))


def http_request(body: bytes | bytearray, json_length: str | None, model: str) -> InferRequest:
    """A request as HTTP brings it: JSON, and the tensors that say so behind it, in their order.

    Args:
        body: all of it.
        json_length: the header that says where the JSON ends; None where there is nothing but JSON.
        model: its name.

    Raises:
        RequestError: it is not that.
    """
    view = memoryview(body)
    ends = len(body) if json_length is None else _whole(json_length, JSON_LENGTH, len(body))
    try:
        told = orjson.loads(view[:ends])
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error
    if not isinstance(told, dict) or not isinstance(told.get("inputs"), list):
        raise RequestError(400, 'the body is not a request of the KServe v2 protocol: it has no list "inputs"')
    inputs: list[InferInput] = []
    raw: list[memoryview | None] = []
    for each in told["inputs"]:
        tensor, size = _tensor(each)
        if size is not None:
            size = _whole(size, f"binary_data_size of {tensor.name}", len(body) - ends)
            raw.append(view[ends : ends + size])
            ends += size
        else:
            raw.append(None)
        inputs.append(tensor)
    if ends != len(body):
        raise RequestError(400, f"{len(body) - ends} bytes follow the last tensor, which no input accounts for")
    return InferRequest(
        model_name=model,
        request_id=str(told.get("id") or ""),
        infer_inputs=inputs,
        raw_inputs=raw,
        parameters=_mapping(told, "parameters"),
        request_outputs=_outputs(told.get("outputs")),
    )


def _tensor(told: Any) -> tuple[InferInput, Any]:
    """An input without its bytes, and how many there are; None if its data are in the JSON."""
    if not isinstance(told, dict) or not isinstance(told.get("name"), str) or not isinstance(told.get("shape"), list):
        raise RequestError(400, 'an input of the request is not {"name": ..., "datatype": ..., "shape": [...]}')
    name, data = told["name"], told.get("data")
    size = _mapping(told, "parameters").get("binary_data_size")
    if (data is None) == (size is None):
        raise RequestError(400, f'the input {name} needs one of "data" and the parameter "binary_data_size"')
    if data is not None and not isinstance(data, list):
        raise RequestError(400, f'"data" of the input {name} is no list')
    tensor = InferInput(name, told["shape"], str(told.get("datatype")))
    if data is not None:
        tensor.data = data
    return tensor, size


def _outputs(told: Any) -> list[RequestedOutput] | None:
    if told is None:
        return None
    if not isinstance(told, list) or not all(isinstance(each, dict) and "name" in each for each in told):
        raise RequestError(400, '"outputs" of the request is not a list of {"name": ...}')
    return [RequestedOutput(str(each["name"]), _mapping(each, "parameters")) for each in told]


def _mapping(told: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = told.get(key)
    if found is not None and not isinstance(found, dict):
        raise RequestError(400, f'"{key}" of the request is no object')
    return found or {}


def _whole(value: Any, name: str, most: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not 0 <= number <= most:
        raise RequestError(400, f"{name} is {str(value)[:50]!r}, expected a whole number from 0 to {most}")
    return number
