"""What `urlopen` takes for a connection of a governed pool."""

from __future__ import annotations

from typing import Any

from urllib3.util.proxy import connection_requires_http_tunnel

from ..actions import BodyEnd
from ..call import Machine
from ..driver import finish


class Passed:
    """The library's own response to a request that the mesh does not govern."""

    __slots__ = ("headers", "response", "status")

    def __init__(self, response: Any) -> None:
        self.response = response
        self.status: int = response.status
        self.headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]


class Lease:
    """What `urlopen` takes for a connection. Governed requests need none; one that is passed on has the library's."""

    is_closed = False
    timeout: Any = None

    def __init__(self, pool: Any, patience_s: float | None) -> None:
        self._pool = pool
        self._patience = patience_s
        self._home: Any = None
        self._real: Any = None
        self._machine: Machine | None = None

    def __str__(self) -> str:
        return f"HTTPConnection(host={self._pool.host!r}, port={self._pool.port!r})"

    @property
    def proxy(self) -> Any:
        return getattr(self._real, "proxy", None)

    @property
    def has_connected_to_proxy(self) -> bool:
        return self._real is None or self._real.has_connected_to_proxy

    def take(self, home: Any) -> Any:
        """A connection of the library's pool."""
        self._home, self._real = home, home._get_conn(self._patience)
        return self._real

    def pass_on(self, home: Any, scheme: str, sent: tuple[str, str], arguments: dict[str, Any]) -> Passed:
        """Send a request by the library's pool, as its `urlopen` would."""
        try:
            real = self.take(home)
            real.timeout = arguments["timeout"].connect_timeout
            if (
                home.proxy is not None
                and real.is_closed
                and connection_requires_http_tunnel(home.proxy, home.proxy_config, scheme)
            ):
                try:
                    home._prepare_proxy(real)
                except OSError as error:
                    home._raise_timeout(err=error, url=home.proxy.url, timeout_value=real.timeout)
                    raise
            return Passed(home._make_request(real, *sent, **arguments))
        except BaseException:
            self.drop()
            raise

    def watch(self, machine: Machine) -> None:
        """Until the response has been read; then the call is over."""
        if self._home is None:
            finish(machine, BodyEnd(True))
        else:
            self._machine = machine

    def _end(self, *, complete: bool) -> None:
        machine, self._machine = self._machine, None
        if machine is not None:
            finish(machine, BodyEnd(complete, kind="" if complete else "caller"))

    def close(self) -> None:
        """Close what there is; the response is not read any further."""
        if self._real is not None:
            self._real.close()
        self._end(complete=False)

    def give_back(self) -> None:
        """It may be used again."""
        home, self._home = self._home, None
        if home is not None:
            home._put_conn(self._real)
        self._end(complete=True)

    def drop(self) -> None:
        """It has failed."""
        home, self._home = self._home, None
        if home is not None and self._real is not None:
            self._real.close()
            home._put_conn(None)
