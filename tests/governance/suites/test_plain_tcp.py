"""`mesh.create_connection` and `mesh.open_connection`: sockets and streams to endpoints of the mesh."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvloop

from proxyless import Mesh
from proxyless.governance.cluster import ClusterRuntime
from proxyless.governance.composition.compose import NONE, compose
from proxyless.governance.composition.connections import proxy_under
from proxyless.governance.events import NotEnforced
from proxyless.governance.passing import Life
from proxyless.governance.suites import _tcp_sockets
from proxyless.governance.suites._tcp_sockets import Keeper, counted
from proxyless.governance.suites.tcp import UnreachableError
from proxyless.policies import off, shadow
from proxyless.xds.model.cluster import Thresholds
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.route import BackOff
from tests.governance.suites import test_mtls
from tests.support.certificates import Authority, HeldSecrets, authority, spiffe, terminating
from tests.support.model import chain, cluster, listener, resource, snapshot
from tests.support.waiting import wait_for
from tests.support.world import Clock


class Echo:
    """Sends back what comes, by TLS with a context."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.listening = socket.create_server(("127.0.43.7", 0))
        self.address = f"127.0.43.7:{self.listening.getsockname()[1]}"
        self.port = int(self.listening.getsockname()[1])
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.echo, args=(sock,), daemon=True).start()

    def echo(self, sock: socket.socket) -> None:
        try:
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
            while data := sock.recv(65536):
                sock.sendall(data)
        except OSError:
            pass
        finally:
            sock.close()

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


@pytest.fixture(scope="module")
def ca() -> Authority:
    return authority()


def listening(proxy: TcpProxy) -> dict[str, Any]:
    """One listener, which passes port 9000 on."""
    made = listener("0.0.0.0_9000", chain(proxy))
    return {made.name: resource(ResourceType.LISTENER, made.name, made)}


def mesh_to(*endpoints: str, most: Any = 100, **proxy: Any) -> Mesh:
    held = snapshot(clusters=[cluster("a", *endpoints, limits=Thresholds(max_connections=most))], listeners=[])
    return Mesh._from_snapshot(replace(held, listeners=listening(TcpProxy("a", **proxy))))


def connections(mesh: Mesh) -> int:
    found = mesh.runtime.plan.cluster("a")
    assert isinstance(found, ClusterRuntime)
    return found.breaker(False).connections


def exchanged(sock: socket.socket) -> bool:
    sock.sendall(b"hello")
    return sock.recv(100) == b"hello"


def test_a_socket_is_one_and_counts_until_it_is_closed(echo: Echo) -> None:
    with mesh_to(echo.address, most=2) as mesh:
        one, other = (mesh.create_connection(("db", 9000), 30) for _ in range(2))
        assert exchanged(one)
        assert one.gettimeout() == 30
        assert one.getpeername() == ("127.0.43.7", echo.port)
        with other, other.makefile("rwb") as file:
            file.write(b"line\n")
            file.flush()
            assert file.readline() == b"line\n"
            with pytest.raises(UnreachableError, match=r"^UO: cluster a has as many connections") as error:
                mesh.create_connection(("db", 9000), 30)
            assert error.value.flag == "UO"
        assert connections(mesh) == 1
        del one
        gc.collect()
        with mesh.create_connection(("db", 9000), 30), mesh.create_connection(("db", 9000), 30):
            assert connections(mesh) == 2
        assert connections(mesh) == 0


def test_whoever_takes_a_socket_over_is_counted_until_he_closes_it(echo: Echo) -> None:
    with mesh_to(echo.address) as mesh:
        taken = socket.socket(fileno=mesh.create_connection(("db", 9000), 30).detach())
        taken.settimeout(60)
        assert exchanged(taken)
        assert connections(mesh) == 1
        taken.close()
        wait_for(lambda: connections(mesh) == 0)
        with mesh_to(echo.address, max_duration_s=0.2) as short:
            taken = socket.socket(fileno=short.create_connection(("db", 9000), 30).detach())
            taken.settimeout(60)
            assert taken.recv(1) == b""
            taken.close()


@pytest.mark.parametrize("life", [{"idle_timeout_s": 0.2}, {"max_duration_s": 0.2}])
def test_a_connection_whose_time_is_over_reads_as_ended(echo: Echo, life: dict[str, float]) -> None:
    with mesh_to(echo.address, **life) as mesh:
        with mesh.create_connection(("db", 9000), 60) as sock:
            assert sock.recv(1) == b""
        assert connections(mesh) == 0

        async def stream() -> bytes:
            reader, writer = await mesh.open_connection("db", 9000, timeout=60)
            found = await reader.read()
            writer.close()
            return found

        assert asyncio.run(stream()) == b""
        assert connections(mesh) == 0


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_streams_count_until_they_are_closed(echo: Echo, run: Any) -> None:
    async def main(mesh: Mesh) -> None:
        reader, writer = await mesh.open_connection("db", 9000, timeout=60)
        writer.write(b"line\n")
        writer.writelines([b"another", b"\n"])
        assert await reader.readline() == b"line\n"
        assert await reader.readline() == b"another\n"
        with pytest.raises(UnreachableError, match=r"^UO"):
            await mesh.open_connection("db", 9000)
        writer.close()
        await writer.wait_closed()
        assert connections(mesh) == 0

    with mesh_to(echo.address, most=1) as mesh:
        run(main(mesh))


def test_another_try_goes_to_the_next_endpoint(echo: Echo) -> None:
    tries = {"max_connect_attempts": 2, "back_off": BackOff(0.01, 0.01)}
    with mesh_to("127.0.43.7:1", echo.address, **tries) as mesh:
        for _ in range(2):
            with mesh.create_connection(("db", 9000), 60) as sock:
                assert exchanged(sock)

        async def stream() -> None:
            for _ in range(2):
                _, writer = await mesh.open_connection("db", 9000, timeout=60)
                writer.close()
                await writer.wait_closed()

        asyncio.run(stream())
        assert connections(mesh) == 0
    with mesh_to("127.0.43.7:1") as mesh:
        with pytest.raises(UnreachableError, match=r"^UF: 127.0.43.7:1: "):
            mesh.create_connection(("db", 9000), 60)
        with pytest.raises(UnreachableError, match=r"^UF: 127.0.43.7:1: "):
            asyncio.run(mesh.open_connection("db", 9000))


def test_where_the_mesh_sends_nothing_it_says_why(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    with mesh_to() as mesh:
        with pytest.raises(UnreachableError, match=r"^UH: cluster a has no healthy endpoint"):
            mesh.create_connection(("db", 9000))
        with pytest.raises(UnreachableError, match=r"^UF: no listener takes db:9001"):
            mesh.create_connection(("db", 9001))
        mesh.runtime.publish(replace(mesh.snapshot, complete=False))
        with pytest.raises(TimeoutError, match=r"waiting for the first complete configuration"):
            mesh.create_connection(("db", 9000), 0.05)
        with pytest.raises(TimeoutError, match=r"waiting for the first complete configuration"):
            asyncio.run(mesh.open_connection("db", 9000, timeout=0.05))
        mesh.runtime.closed = True
        with pytest.raises(UnreachableError, match=r"the mesh was closed"):
            mesh.create_connection(("db", 9000))
        monkeypatch.setenv("PROXYLESS_DISABLE", "1")
        with mesh.create_connection(("127.0.43.7", echo.port), 30) as sock:
            assert exchanged(sock)


@pytest.mark.parametrize("how", ["socket", "streams"])
def test_what_is_dialled_as_it_is_and_not_there_may_be_misspelt(how: str) -> None:
    made = listener("virtualOutbound", chain(TcpProxy("PassthroughCluster")))
    said = r" \(the mesh takes no TCP to 127.0.43.7:1, so it was dialled as it is\)"
    with Mesh._from_snapshot(snapshot(listeners=[made])) as mesh, pytest.raises(ConnectionRefusedError, match=said):
        opened(mesh, how, ("127.0.43.7", 1))


def test_unknown_hosts_are_dialled_as_they_are(echo: Echo) -> None:
    async def stream(mesh: Mesh) -> None:
        reader, writer = await mesh.open_connection("127.0.43.7", echo.port, timeout=60)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        writer.close()
        await writer.wait_closed()

    made = listener("virtualOutbound", chain(TcpProxy("PassthroughCluster")))
    with Mesh._from_snapshot(snapshot(listeners=[made])) as mesh:
        with mesh.create_connection(("127.0.43.7", echo.port), 30, ("127.0.43.8", 0)) as sock:
            assert exchanged(sock)
            assert sock.getsockname()[0] == "127.0.43.8"
        asyncio.run(stream(mesh))


@pytest.mark.parametrize("who", ["server", "other"])
def test_a_cluster_that_asks_for_mtls_gets_it(ca: Authority, tmp_path: Path, who: str) -> None:
    server = Echo(terminating(ca, who, tmp_path))
    made = test_mtls.world(server.address, HeldSecrets(ca.workload("one"), ca.roots))
    made.runtime.publish(replace(made.snapshot, listeners=listening(TcpProxy("a"))))

    async def stream() -> bytes:
        reader, writer = await made.open_connection("db", 9000, timeout=60)
        writer.write(b"hello")
        found = await reader.readexactly(5)
        writer.close()
        await writer.wait_closed()
        return found

    if who == "server":
        with made.create_connection(("db", 9000), 60) as sock:
            assert isinstance(sock, ssl.SSLSocket)
            assert exchanged(sock)
        assert asyncio.run(stream()) == b"hello"
    else:
        expected = rf"^UF: cluster a, endpoint .*: expected {spiffe('server')}, presented "
        with pytest.raises(UnreachableError, match=expected):
            made.create_connection(("db", 9000), 60)
        with pytest.raises(UnreachableError, match=expected):
            asyncio.run(stream())
    assert connections(made) == 0
    made.close()
    server.close()


def test_a_task_that_is_cancelled_leaves_no_connection(ca: Authority) -> None:
    silent = socket.create_server(("127.0.43.7", 0))  # the handshake never ends
    made = test_mtls.world(f"127.0.43.7:{silent.getsockname()[1]}", HeldSecrets(ca.workload("one"), ca.roots))
    made.runtime.publish(replace(made.snapshot, listeners=listening(TcpProxy("a"))))

    async def main() -> None:
        asked = asyncio.create_task(made.open_connection("db", 9000))
        await asyncio.to_thread(wait_for, lambda: connections(made))
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(main())
    assert connections(made) == 0
    silent.close()
    made.close()


def test_the_thread_that_looks_after_sockets_ends_with_them(echo: Echo) -> None:
    with mesh_to(echo.address) as mesh:
        keeper = mesh.runtime.lasting(("tcp", "keeper"), Keeper)
        with mesh.create_connection(("db", 9000), 60), mesh.create_connection(("db", 9000), 60):
            assert keeper.running
        wait_for(lambda: not keeper.running)


def test_sockets_that_are_gone_are_let_go_while_others_come_and_stay(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tcp_sockets, "PATROL_S", 0.3)
    with mesh_to(echo.address) as mesh, mesh.create_connection(("db", 9000), 60):
        keeper = mesh.runtime.lasting(("tcp", "keeper"), Keeper)
        seen: list[int] = []

        def one_more() -> bool:
            mesh.create_connection(("db", 9000), 60).close()
            seen.append(len(keeper._due))
            return len(seen) > 1 and seen[-1] < seen[-2]

        wait_for(one_more)


def test_bytes_either_way_make_a_connection_live_on() -> None:
    class Held:
        ended = 0

        def end(self) -> None:
            self.ended += 1

    clock, held = Clock(), Held()
    near, far = socket.socketpair()
    life = Life(TcpProxy("a", idle_timeout_s=600), clock, lambda: 0.0)
    sock = counted(near, Keeper(), held, life)  # type: ignore[arg-type]
    far.sendall(b"12")
    for work in (lambda: sock.send(b"1"), lambda: sock.sendall(b"2"), lambda: sock.recv(1), lambda: sock.recv(1)):
        clock.now += 500
        work()
    assert not life.over()
    clock.now += 601
    assert life.over()
    sock.close()
    sock.close()
    assert held.ended == 1
    far.close()


class Told:
    """What shadow mode would have done."""

    def __init__(self, mesh: Mesh) -> None:
        self.seen: list[tuple[str, str]] = []
        mesh.runtime.add_event_listener(self)

    def on_event(self, event: Any) -> None:
        if isinstance(event, NotEnforced):
            self.seen.append((event.policy, event.outcome))


def opened(mesh: Mesh, how: str, address: tuple[str, int]) -> None:
    """A connection over which a line comes back."""
    if how == "socket":
        with mesh.create_connection(address, 30) as sock:
            assert exchanged(sock)
        return

    async def work() -> None:
        reader, writer = await mesh.open_connection(*address, timeout=30)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()

    asyncio.run(work())


@pytest.mark.parametrize("how", ["socket", "streams"])
def test_without_routing_a_program_dials_by_itself(echo: Echo, how: str) -> None:
    there = ("127.0.43.7", echo.port)
    held = snapshot(clusters=[cluster("a", "127.0.43.7:1")], listeners=[])
    made = listener(f"0.0.0.0_{echo.port}", chain(TcpProxy("a")))
    led = replace(held, listeners={made.name: resource(ResourceType.LISTENER, made.name, made)})
    for switch, told in ((off("routing"), []), (shadow("routing"), [("routing", "route")])):
        with Mesh._from_snapshot(led, policies=[switch]) as mesh:
            seen = Told(mesh)
            opened(mesh, how, there)
            assert seen.seen == told
    with Mesh._from_snapshot(led) as mesh, pytest.raises(UnreachableError):
        opened(mesh, how, there)
    refusing = replace(led, listeners=listening(TcpProxy("BlackHoleCluster")))
    with Mesh._from_snapshot(refusing, policies=[shadow("routing")]) as mesh:
        seen = Told(mesh)
        with pytest.raises(OSError, match="refused"):
            mesh.create_connection(("127.0.43.7", 9000), 30)
        assert seen.seen == [("routing", "503")]


@pytest.mark.parametrize(("switch", "told"), [(off("breaker"), []), (shadow("breaker"), [("breaker", "503")])])
def test_thresholds_can_be_switched(echo: Echo, switch: Any, told: list[tuple[str, str]]) -> None:
    held = snapshot(clusters=[cluster("a", echo.address, limits=Thresholds(max_connections=1))], listeners=[])
    with Mesh._from_snapshot(replace(held, listeners=listening(TcpProxy("a"))), policies=[switch]) as mesh:
        seen = Told(mesh)
        with mesh.create_connection(("db", 9000), 30) as one, mesh.create_connection(("db", 9000), 30) as other:
            assert exchanged(one)
            assert exchanged(other)
            assert connections(mesh) == 2
        assert connections(mesh) == 0
        assert seen.seen == told


@pytest.mark.parametrize(("switch", "told"), [(off("retry"), []), (shadow("retry"), [("retry", "retry")])])
def test_further_tries_can_be_switched(switch: Any, told: list[tuple[str, str]]) -> None:
    held = snapshot(clusters=[cluster("a", "127.0.43.7:1")], listeners=[])
    proxy = TcpProxy("a", max_connect_attempts=3)
    with Mesh._from_snapshot(replace(held, listeners=listening(proxy)), policies=[switch]) as mesh:
        seen = Told(mesh)
        with pytest.raises(UnreachableError):
            mesh.create_connection(("db", 9000), 30)
        assert seen.seen == told
    with Mesh._from_snapshot(replace(held, listeners=listening(TcpProxy("a"))), policies=[switch]) as mesh:
        seen = Told(mesh)
        with pytest.raises(UnreachableError):
            mesh.create_connection(("db", 9000), 30)
        assert not seen.seen


def test_without_timeouts_a_connection_lasts() -> None:
    limited = TcpProxy("a", idle_timeout_s=0.1, max_duration_s=0.1)
    assert proxy_under(NONE, limited) == proxy_under(None, limited) == limited
    lasting = proxy_under(compose([off("timeout")], "mesh"), limited)
    assert (lasting.idle_timeout_s, lasting.max_duration_s, lasting.max_connect_attempts) == (None, None, 1)
