"""The gRPC side: kserve's servicer, with what it says of failures."""

from typing import Any, NoReturn

import grpc
from grpc import aio
from grpc_interceptor import AsyncExceptionToStatusInterceptor
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.utils.numpy_codec import to_np_dtype

from occvino.serve.failures import RequestError, failure_of
from occvino.serve.v2.http import Limits
from occvino.serve.v2.plane import Plane

_ANSWER = 64 << 20
"""Bytes that an answer may have; labels have 640,000."""


class _Servicer(InferenceServicer):
    def __init__(self, plane: Plane) -> None:
        super().__init__(plane, ModelRepositoryExtension(plane.model_registry))
        self._plane = plane

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._plane.check(request.model_name, request.model_version)
        for each in request.inputs:  # kserve says no more than "invalid content type"
            if to_np_dtype(each.datatype) is None:
                raise RequestError(400, f"{each.name} is {each.datatype[:50]}, a type that the protocol does not have")
        return await super().ModelInfer(request, context)

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise RequestError(501, "this server loads no models: it has the one that it was started with")

    RepositoryModelUnload = RepositoryModelLoad


class _Failures(AsyncExceptionToStatusInterceptor):
    async def handle_exception(
        self, ex: Exception, request_or_iterator: Any, context: Any, method_name: str
    ) -> NoReturn:
        if isinstance(ex, aio.AbortError):
            raise ex
        failure = failure_of(ex)
        await context.abort(grpc.StatusCode[failure.code], failure.message)
        raise AssertionError("abort raises")


def rpc_server(plane: Plane, limits: Limits) -> aio.Server:
    """A gRPC server without a port yet."""
    server = aio.server(
        interceptors=(_Failures(),),
        options=[
            ("grpc.max_receive_message_length", limits.body),
            ("grpc.max_send_message_length", _ANSWER),
            ("grpc.so_reuseport", 0),  # two servers on one port would share its requests without a word
        ],
        maximum_concurrent_rpcs=limits.requests,
    )
    add_GRPCInferenceServiceServicer_to_server(_Servicer(plane), server)
    return server
