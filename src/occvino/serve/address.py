"""Where a server listens."""

import ipaddress
from dataclasses import dataclass

from occvino.errors import OccvinoError


@dataclass(frozen=True)
class Address:
    """Where a server listens. A port of 0 is any that is free.

    Raises:
        OccvinoError: a port that is none.
    """

    host: str = "127.0.0.1"
    http: int = 8000
    grpc: int = 8001

    def __post_init__(self) -> None:
        for name, port in (("--port", self.http), ("--grpc-port", self.grpc)):
            if not 0 <= port <= 65535:
                raise OccvinoError(f"{name} {port}: expected 0, for any that is free, to 65535")

    @property
    def told(self) -> str:
        """The host as it stands before a port."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
