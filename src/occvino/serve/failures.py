"""What a client is told when its request fails: the words that the command line would print, and no stack trace."""

import logging
import secrets
from dataclasses import dataclass

from occvino.errors import DeviceError, OccvinoError

LOGGER = logging.getLogger("occvino.serve")
_LONGEST = 4000
"""Letters of a message: gRPC sends it as a header."""


class RequestError(Exception):
    """A request that is refused before it reaches the model.

    Args:
        status: as HTTP has it.
        message: for the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Failure:
    """What the client is told. `status` is HTTP's; `code` is gRPC's name for it."""

    status: int
    message: str

    @property
    def code(self) -> str:
        """Of HTTP's numbers that are given here."""
        return {
            400: "INVALID_ARGUMENT",
            404: "NOT_FOUND",
            408: "DEADLINE_EXCEEDED",
            413: "RESOURCE_EXHAUSTED",
            415: "INVALID_ARGUMENT",
            501: "UNIMPLEMENTED",
            503: "UNAVAILABLE",
        }.get(self.status, "INTERNAL")


def failure_of(error: BaseException) -> Failure:
    """What is said of an exception. One that is not ours goes to the log, and the client gets its number there.

    kserve's `InvalidInput` is a `ValueError` with a `reason`: its parser refused the request.
    """
    if isinstance(error, RequestError):
        return Failure(error.status, str(error))
    if isinstance(error, OccvinoError) and not isinstance(error, DeviceError):
        return Failure(400, str(error)[:_LONGEST])
    if type(error).__name__ == "InvalidInput":
        return Failure(400, str(error)[:_LONGEST])
    number = secrets.token_hex(4)
    LOGGER.error("request failed, error %s", number, exc_info=error)
    return Failure(500, f"internal error {number}: the server's log says more")
