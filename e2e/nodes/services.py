"""What kube-proxy and the cluster's DNS do for programs that no mesh governs: a connection to a Service's address goes
to one of its ready endpoints, and names have addresses. A thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from concurrent.futures import Future
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from .rest import Document, Rest

RESOLVER = "10.96.0.10"
DOMAIN = "svc.cluster.local."
PATIENCE_S = 5.0
TTL_S = 1
Key = tuple[str, str]
Port = tuple[str, int]


class Services:
    """Fed by the agent's watches."""

    def __init__(self, api: Rest) -> None:
        self._api_server = urlsplit(api.url)
        self._services: dict[Key, Document] = {}
        self._slices: dict[str, Document] = {}
        self._listening: dict[Port, asyncio.Server] = {}
        self._turn = itertools.count()
        self._one_at_a_time = asyncio.Lock()
        # The loop knows tasks and transports that wait by weak references only.
        self._kept: set[object] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="services", daemon=True)
        self._thread.start()
        self._names: asyncio.DatagramTransport = self._call(self._answer_names()).result(30)

    def close(self) -> None:
        async def end() -> None:
            self._names.close()  # the next cluster of this machine has the same address
            for server in self._listening.values():
                server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._call(end()).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def service(self, kind: str, document: Document) -> None:
        """Heard of a Service."""
        key = document["metadata"]["namespace"], document["metadata"]["name"]
        if kind == "GONE":
            self._services.pop(key, None)
        else:
            self._services[key] = document
        self._call(self._listen())

    def slice(self, kind: str, document: Document) -> None:
        """Heard of an EndpointSlice."""
        uid = document["metadata"]["uid"]
        if kind == "GONE":
            self._slices.pop(uid, None)
        else:
            self._slices[uid] = document

    def endpoints(self, key: Key, port: str | None = None) -> list[tuple[str, int]]:
        """Ready ones; of the port of that name, else 0."""
        found = []
        for each in list(self._slices.values()):
            meta = each["metadata"]
            if (meta["namespace"], meta.get("labels", {}).get("kubernetes.io/service-name")) != key:
                continue
            numbers = [said["port"] for said in each.get("ports") or () if said.get("name", "") == (port or "")]
            for endpoint in each.get("endpoints") or ():
                if endpoint.get("conditions", {}).get("ready", True):
                    found += [(address, (numbers or [0])[0]) for address in endpoint["addresses"]]
        return found

    def _call(self, what: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(what, self._loop)

    async def _listen(self) -> None:
        wanted: dict[Port, tuple[Key, str]] = {}
        for key, service in self._services.items():
            address = service["spec"].get("clusterIP", "None")
            for port in service["spec"].get("ports", ()) if address not in ("", "None") else ():
                if port.get("protocol", "TCP") == "TCP":
                    wanted[address, port["port"]] = key, port.get("name", "")
        async with self._one_at_a_time:
            for gone in self._listening.keys() - wanted.keys():
                self._listening.pop(gone).close()
            for where in wanted.keys() - self._listening.keys():
                taking = partial(self._pass_on, *wanted[where])
                self._listening[where] = await asyncio.start_server(taking, *where, backlog=512)

    async def _pass_on(self, key: Key, port: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets = self.endpoints(key, port)
        if key == ("default", "kubernetes"):
            targets = [(str(self._api_server.hostname), int(self._api_server.port or 443))]
        task = asyncio.current_task()
        self._kept.add(task)
        try:
            await self._connected(targets, reader, writer)
        finally:
            self._kept.discard(task)

    async def _connected(self, targets: list[Port], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                if not targets:
                    raise ConnectionRefusedError
                there, back = await asyncio.open_connection(*targets[next(self._turn) % len(targets)])
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            for each in (back, writer):
                each.transport.abort()

    async def _answer_names(self) -> asyncio.DatagramTransport:
        services = self

        class Names(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, address: Any) -> None:
                with contextlib.suppress(Exception):  # what is no question gets no answer
                    self.transport.sendto(services.answer(data), address)

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Names, local_addr=(RESOLVER, 53))
        return transport

    def answer(self, data: bytes) -> bytes:
        """A's of Services and of their endpoints where they have no address; nothing beyond the cluster."""
        question = dns.message.from_wire(data)
        reply = dns.message.make_response(question, recursion_available=True)
        reply.flags |= dns.flags.AA
        asked = question.question[0]
        name = asked.name.to_text().lower()
        parts = name.removesuffix(f".{DOMAIN}").split(".")
        key = parts[1], parts[0] if name.endswith(f".{DOMAIN}") and len(parts) == 2 else ""
        service = self._services.get(key)
        if service is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif asked.rdtype == dns.rdatatype.A:
            address = service["spec"].get("clusterIP", "None")
            found = [address] if address != "None" else sorted({host for host, _ in self.endpoints(key)})
            if found:
                reply.answer.append(dns.rrset.from_text_list(asked.name, TTL_S, "IN", "A", found))
        return reply.to_wire()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
