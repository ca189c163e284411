"""The HTTP side: the routes of the KServe v2 protocol, and how much a client may send."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from kserve import InferResponse
from kserve.protocol.rest.v2_endpoints import V2Endpoints
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from occvino.serve.failures import Failure, RequestError, failure_of
from occvino.serve.v2.plane import JSON_LENGTH, Plane, http_request

_DRAINED = 1 << 30
"""Bytes of a body too large that are read and dropped: most clients hear the answer only when all is sent."""


@dataclass(frozen=True)
class Limits:
    """What a server takes.

    Args:
        body: bytes of a request.
        requests: that are under way at a time, over HTTP and over gRPC each.
        seconds: in which a body must have arrived.
    """

    body: int = 64 << 20
    requests: int = 32
    seconds: float = 60.0


def application(plane: Plane, limits: Limits) -> FastAPI:
    """The HTTP application. It loads and unloads nothing: the model is the one that it was started with."""
    app = FastAPI(title="occvino", docs_url=None, redoc_url=None, openapi_url=None)
    told = V2Endpoints(plane)

    async def model_metadata(model_name: str, model_version: str | None = None) -> Any:
        plane.check(model_name, model_version)
        return await told.model_metadata(model_name)

    async def model_ready(model_name: str, model_version: str | None = None) -> Any:
        plane.check(model_name, model_version)
        return await told.model_ready(model_name)

    for path, endpoint in (("", told.metadata), ("/health/live", told.live), ("/health/ready", told.ready)):
        app.add_api_route(f"/v2{path}", endpoint, methods=["GET"])
    app.add_api_route("/v2/models", told.models, methods=["GET"])
    infer = _Infer(plane, limits)
    for path in ("/v2/models/{model_name}", "/v2/models/{model_name}/versions/{model_version}"):
        app.add_api_route(path, model_metadata, methods=["GET"])
        app.add_api_route(f"{path}/ready", model_ready, methods=["GET"])
        app.add_route(f"{path}/infer", infer.answer, methods=["POST"])
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(RequestError, _failed)
    app.add_exception_handler(Exception, _failed)
    return app


class _Infer:
    """The endpoint that computes."""

    def __init__(self, plane: Plane, limits: Limits) -> None:
        self._plane, self._limits = plane, limits
        self._under_way = 0

    async def answer(self, request: Request) -> Response:
        """Every exception becomes an answer here: what the framework does of its own would tell a client the code."""
        try:
            return await self._labelled(request)
        except Exception as error:
            return _answered(failure_of(error))

    async def _labelled(self, request: Request) -> Response:
        model, version = request.path_params["model_name"], request.path_params.get("model_version")
        if self._under_way >= self._limits.requests:
            await _drain(request)
            raise RequestError(503, f"{self._under_way} requests are under way, the most there may be: try again")
        self._under_way += 1
        try:
            body = await self._body(request)
            self._plane.check(model, version)
            # parsing a JSON of megabytes would stop all others
            asked = await asyncio.to_thread(http_request, body, request.headers.get(JSON_LENGTH), model)
            response, _ = await self._plane.infer(model, asked)
            return await asyncio.to_thread(_written, response)
        finally:
            self._under_way -= 1

    async def _body(self, request: Request) -> bytearray:
        if coding := request.headers.get("content-encoding"):
            await _drain(request)
            raise RequestError(415, f"the body is packed by {coding[:50]}: send it as it is")
        size = request.headers.get("content-length", "0")
        most = self._limits.body
        if size.isdecimal() and int(size) > most:
            await _drain(request)
            raise RequestError(413, _too_large(int(size), most))
        try:
            return await asyncio.wait_for(_read(request, most), self._limits.seconds)
        except ClientDisconnect:
            raise RequestError(400, "the client went away before all of the body was there") from None
        except asyncio.TimeoutError:
            raise RequestError(408, f"the body did not arrive in {self._limits.seconds:g} seconds") from None


async def _read(request: Request, most: int) -> bytearray:
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _DRAINED:
            break
        if size > most:
            body.clear()  # and go on: see `_DRAINED`
        else:
            body += chunk
    if size > most:
        raise RequestError(413, _too_large(None, most))
    return body


async def _drain(request: Request) -> None:
    """Read what is sent and keep nothing."""
    seen = 0
    with contextlib.suppress(ClientDisconnect):
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > _DRAINED:
                return


def _too_large(size: int | None, most: int) -> str:
    of = "" if size is None else f" of {size} bytes"
    return (
        f"the body{of} is larger than the {most} bytes that are taken: send JPEG files, or smaller images with "
        "intrinsics to match, or start the server with a larger --max-body"
    )


def _written(response: InferResponse) -> Response:
    """JSON, with the tensors that were asked for as bytes behind it."""
    written, json_length = response.to_rest()
    if json_length is None:
        return JSONResponse(written)
    return Response(written, media_type="application/octet-stream", headers={JSON_LENGTH: str(json_length)})


async def _failed(request: Request, error: Exception) -> Response:
    return _answered(failure_of(error))


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answered(Failure(error.status_code, f"{request.method} {request.url.path[:200]}: {error.detail}"))


def _answered(failure: Failure) -> Response:
    return JSONResponse({"error": failure.message}, status_code=failure.status)
