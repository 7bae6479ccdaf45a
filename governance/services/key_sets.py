"""Fetches key sets of tokens through the mesh's own clusters: HTTP/1.1 on a connection of its own for each attempt.

Threads wait for the answer themselves; for a task a thread does. Keys that are fetched ahead have a thread that knows
when, which ends with the mesh.
"""

from __future__ import annotations

import asyncio
import http.client
from math import inf
from threading import Thread
from time import monotonic, sleep
from weakref import ref

from ...xds.model.jwt import RemoteJwks
from ..actions import Asked, Failure
from ..attending import Attendant
from ..balancing.context import ANY
from ..balancing.host import Host
from ..cluster import ClusterRuntime
from ..runtime import Runtime
from ..securing import InsecureError, plain_securing
from ..tokens.fetching import Target, pauses
from ..tokens.provider import RemoteKeys
from .reaching import dial, left_s, reached

LONGEST = 1 << 20
"""Bytes of a key set."""

METHOD = "GET key set"


class KeySets:
    """What `Runtime.keys` asks. It holds the runtime weakly: a thread that waits must not keep a mesh alive."""

    def __init__(self, runtime: ref[Runtime]) -> None:
        self._runtime = runtime

    def ask(self, request: RemoteJwks, timeout_s: float) -> bytes | Failure:
        """The key set as it came; blocks for no longer than the timeout, or while endpoints are on their way."""
        runtime = self._runtime()
        if runtime is None:
            return Failure("unreachable", "the mesh is gone")
        cluster = reached(runtime, request.cluster)
        outcome: bytes | Failure
        if isinstance(cluster, Failure):
            outcome = cluster
        else:
            outcome = self._fetch(runtime, cluster, request, monotonic() + timeout_s)
        key = (request.cluster, METHOD)
        (runtime.asked.get(key) or runtime.asked.setdefault(key, Asked())).count(outcome)
        return outcome

    async def ask_async(self, request: RemoteJwks, timeout_s: float) -> bytes | Failure:
        """The same for a task."""
        return await asyncio.to_thread(self.ask, request, timeout_s)

    def _fetch(self, runtime: Runtime, cluster: ClusterRuntime, request: RemoteJwks, until: float) -> bytes | Failure:
        failure = Failure("timeout", "no answer in time")
        for pause_s in pauses(request, runtime.uniform):
            if monotonic() + pause_s >= until:
                break
            sleep(pause_s)
            cluster.state.used_at = runtime.clock()
            host = cluster.choose(ANY)
            if host is None:
                failure = Failure("unreachable", f"cluster {cluster.name!r} has no healthy endpoint")
                continue
            outcome = attempt(runtime, cluster, host, Target(request), until)
            if isinstance(outcome, bytes):
                return outcome
            failure = outcome
        return failure


def attempt(runtime: Runtime, cluster: ClusterRuntime, host: Host, target: Target, until: float) -> bytes | Failure:
    """One GET at one endpoint, over before a moment of the monotonic clock."""
    secure = plain_securing(host, ("http/1.1",))
    if host.must_be_secure and (runtime.tls is None or secure is None or host.socket.unsupported):
        return Failure("unreachable", host.why_not(cluster.name))
    connection = http.client.HTTPConnection("unused")
    try:
        connection.sock = dial(host.endpoint.address, until)
        if secure is not None and runtime.tls is not None:
            context = runtime.tls.client(secure, host.address)
            connection.sock = context.wrap_socket(connection.sock)
        connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("host", target.authority)
        connection.endheaders()
        sock = connection.sock
        sock.settimeout(left_s(until))
        response = connection.getresponse()
        body = b""
        while not response.isclosed() and len(body) <= LONGEST:
            sock.settimeout(left_s(until))
            chunk = response.read1(65536)
            if not chunk:
                break
            body += chunk
        if response.status != http.client.OK:
            return Failure("reset", f"{target.authority} answered {response.status}")
        return body if 0 < len(body) <= LONGEST else Failure("reset", f"{target.authority} sent no key set")
    except TimeoutError:
        return Failure("timeout", f"{target.authority} did not answer in time")
    except (OSError, http.client.HTTPException, InsecureError) as error:
        return Failure("unreachable", f"{target.authority}: {str(error) or type(error).__name__}")
    finally:
        connection.close()


class KeySetDriver(Attendant):
    """Fetches keys before anybody needs them; what is under way when the mesh ends is left to end."""

    name = "proxyless-key-sets"

    def look(self, runtime: Runtime) -> float:
        """Fetch what is due."""
        now, due = runtime.clock(), inf
        for keys in runtime.keys_ahead:
            if now >= keys.due:
                keys.due = inf
                Thread(target=self._fetch, args=(keys,), name="proxyless-key-set", daemon=True).start()
            due = min(due, keys.due)
        return max(0.0, due - runtime.clock())

    def _fetch(self, keys: RemoteKeys) -> None:
        runtime = self._runtime()
        if runtime is None:
            return
        keys.ahead(KeySets(self._runtime).ask(keys.config, keys.config.timeout_s))
        del runtime
        self.wake()
