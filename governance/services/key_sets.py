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
from ..balancing.host import Host
from ..cluster import ClusterRuntime
from ..runtime import Runtime
from ..securing import InsecureError, service_securing
from ..tokens.fetching import Target, pauses
from ..tokens.provider import RemoteKeys
from .reaching import asking, left_s, reached, secured

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
            asked = asking(runtime, cluster)
            if isinstance(asked, Failure):
                failure = asked
                continue
            try:
                outcome = attempt(runtime, asked.cluster, asked.host, Target(request), until)
            finally:
                asked.end()
            if isinstance(outcome, bytes):
                asked.answered(200)
                return outcome
            asked.report("timeout" if outcome.kind == "timeout" else "connect-failed")
            failure = outcome
        return failure


def attempt(runtime: Runtime, cluster: ClusterRuntime, host: Host, target: Target, until: float) -> bytes | Failure:
    """One GET at one endpoint, over before a moment of the monotonic clock."""
    secure = service_securing(cluster, host, target.authority, http2=False)
    connection = http.client.HTTPConnection("unused")
    try:
        soon = min(until, monotonic() + cluster.config.connect_timeout_s)
        connection.sock = secured(runtime.tls, secure, host, host.endpoint.address, soon, cluster.socket_options)
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
