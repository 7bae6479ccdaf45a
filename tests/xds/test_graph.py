"""The join: what is in force, what is held back, what is wanted, what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxyless.xds.graph import EAGER_BYTES, Graph, clusters_of
from proxyless.xds.model.cluster import Cluster
from proxyless.xds.model.endpoint import ClusterLoadAssignment
from proxyless.xds.model.resource import Resource, ResourceError
from proxyless.xds.model.route import RouteConfiguration
from proxyless.xds.protocol.events import Rejection, Response
from proxyless.xds.wire import codec
from tests.support.model import assignment

from .messages import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    LISTENER,
    NAMES,
    ROUTE,
    cluster,
    endpoints,
    listener,
    name_table,
    response,
    table,
)

NEGATIVE = "Invalid duration: Expected positive duration: seconds: -1"
LARGE = EAGER_BYTES // 2


@pytest.fixture
def late() -> list[ResourceError]:
    return []


@pytest.fixture
def graph(late: list[ResourceError]) -> Graph:
    return Graph(codec.resource, on_late_reject=late.append)


@pytest.fixture
def used(graph: Graph) -> Iterator[Graph]:
    """Cluster `a` and table `80` are in use: a call has gone to `a` by the virtual host `h`."""
    graph.want(ROUTE, ["80"])
    graph.apply(response(CLUSTER, {"a": cluster("a"), "b": cluster("b")}))
    graph.apply(response(LISTENER, {"l": listener("l", "80")}))
    graph.apply(response(ROUTE, {"80": table("80", {"h": ["a"], "idle": ["b"]})}))
    graph.snapshot.listeners["l"].get()
    graph.want(CLUSTER, ["a"])
    graph.apply(response(ENDPOINT, {"a": endpoints("a", "127.0.0.1")}))
    yield graph
    assert not [name for type_, name in graph._held if name not in graph.newest[type_]]


def timeout(graph: Graph, name: str = "a") -> float:
    value: Cluster = graph.snapshot.clusters[name].get()
    return value.connect_timeout_s


def clusters(graph: Graph, host: str = "h") -> list[str]:
    """Where the routes of a virtual host lead, in the table that is in force."""
    value: RouteConfiguration = graph.snapshot.routes["80"].get()
    found = next(each for each in value.virtual_hosts if each.name == host)
    return [name for route in found.value().routes for name in clusters_of(route)]


class TestWhatIsComplete:
    def test_listeners_and_clusters_are(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER))
        assert not graph.snapshot.complete
        graph.apply(response(LISTENER))
        assert graph.snapshot.complete

    def test_the_name_table_is_waited_for_where_there_will_be_one(self) -> None:
        graph = Graph(codec.resource, await_names=True)
        graph.apply(response(CLUSTER))
        before = graph.lacks_names_only
        graph.apply(response(LISTENER))
        assert (before, graph.lacks_names_only) == (False, True)
        graph.apply(response(NAMES, {"name table": name_table(cart="10.0.0.1")}))
        assert graph.snapshot.complete
        assert graph.snapshot.names.lookup("cart") == ("10.0.0.1",)
        graph.apply(response(NAMES, {}))
        assert graph.snapshot.names.lookup("cart") == ()

    def test_until_it_is_known_that_none_comes(self) -> None:
        graph = Graph(codec.resource, await_names=True)
        graph.apply(response(CLUSTER))
        graph.apply(response(LISTENER))
        graph.no_names()
        assert graph.snapshot.complete
        assert not graph.lacks_names_only


class TestWhatIsHeld:
    def test_a_type_that_nobody_asked_for_changes_nothing(self, graph: Graph) -> None:
        before = graph.snapshot
        assert graph.apply(Response(None, "a.B", "1", "n")) == []
        assert graph.snapshot is before

    def test_what_a_wildcard_response_leaves_out_is_gone(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a"), "b": cluster("b")}))
        graph.apply(response(CLUSTER, {"b": cluster("b")}))
        assert list(graph.snapshot.clusters) == ["b"]

    def test_what_another_response_leaves_out_stays(self, graph: Graph) -> None:
        graph.apply(response(ENDPOINT, {"a": endpoints("a"), "b": endpoints("b")}))
        graph.apply(response(ENDPOINT, {"b": endpoints("b", "127.0.0.1")}))
        assert sorted(graph.snapshot.assignments) == ["a", "b"]

    def test_a_delta_says_what_is_gone(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a"), "b": cluster("b")}, full=False))
        graph.apply(response(CLUSTER, removed=["a", "never heard of"], full=False))
        assert list(graph.snapshot.clusters) == ["b"]

    def test_what_is_needed_stays_whatever_a_delta_says_of_it(self, used: Graph) -> None:
        used.apply(response(ENDPOINT, removed=["a"], full=False))
        used.apply(response(ROUTE, removed=["80"], full=False))
        assert (list(used.snapshot.assignments), list(used.snapshot.routes)) == (["a"], ["80"])
        used.apply(response(CLUSTER, removed=["a"], full=False))
        assert not used.snapshot.assignments
        used.unwant(ROUTE, ["80"])
        assert not used.snapshot.routes

    def test_unchanged_bytes_stay_the_same_resource_in_a_new_version(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a")}, version="1"))
        before = graph.snapshot.clusters["a"]
        graph.apply(response(CLUSTER, {"a": cluster("a")}, version="2"))
        assert graph.snapshot.clusters["a"] is before
        assert before.version == "2"
        assert graph.versions[CLUSTER] == "2"

    def test_filters_that_are_discovered_are_held_by_name(self, graph: Graph) -> None:
        graph.want(EXTENSION, ["f"])
        graph.apply(response(EXTENSION, {"f": b""}))
        assert list(graph.newest[EXTENSION]) == []
        assert graph.rejected[EXTENSION, "f"]


class TestWhatIsRefused:
    def test_a_bad_resource_is_refused_by_name_and_the_rest_applied(self, graph: Graph) -> None:
        bad = cluster("a", timeout_s=-1)
        assert graph.apply(response(CLUSTER, {"a": bad, "b": cluster("b")})) == [Rejection("a", NEGATIVE)]
        assert list(graph.snapshot.clusters) == ["b"]
        assert graph.rejected == {(CLUSTER, "a"): NEGATIVE}

    @pytest.mark.parametrize("full", [True, False], ids=["sotw", "delta"])
    def test_its_last_good_version_stays(self, graph: Graph, full: bool) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a")}, full=full))
        good = graph.snapshot.clusters["a"]
        graph.apply(response(CLUSTER, {"a": cluster("a", timeout_s=-1)}, full=full))
        assert graph.snapshot.clusters["a"] is good
        assert graph.newest[CLUSTER]["a"] is good

    def test_a_resource_that_does_not_parse_keeps_what_is_held_of_it(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a"), "b": cluster("b")}))
        broken = [Rejection("a", "truncated")]
        assert graph.apply(response(CLUSTER, broken=broken)) == broken
        assert list(graph.snapshot.clusters) == ["a"]

    def test_without_its_name_nothing_is_given_up_for_it(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a"), "b": cluster("b")}))
        graph.apply(
            response(CLUSTER, {"b": cluster("b", timeout_s=2)}, broken=[Rejection("resources[0]", "truncated")])
        )
        assert list(graph.snapshot.clusters) == ["a", "b"]
        assert timeout(graph, "b") == 2.0

    def test_a_partial_response_gives_up_nothing_anyhow(self, graph: Graph) -> None:
        graph.apply(response(ENDPOINT, {"a": endpoints("a")}))
        graph.apply(response(ENDPOINT, broken=[Rejection("resources[0]", "truncated")]))
        assert list(graph.snapshot.assignments) == ["a"]

    def test_a_second_cluster_of_a_name_is_refused_and_the_first_one_counts(self, graph: Graph) -> None:
        twice = Response(
            CLUSTER,
            CLUSTER.value,
            "1",
            "n",
            tuple(
                each
                for timeout_s in (1, 2)
                for each in response(CLUSTER, {"a": cluster("a", timeout_s=timeout_s)}).resources
            ),
        )
        assert graph.apply(twice) == [Rejection("a", "duplicate cluster a found")]
        assert timeout(graph) == 1.0

    def test_one_bad_virtual_host_refuses_its_table(self, used: Graph) -> None:
        # The host has a good predecessor in use; that must not hide it.
        bad = table("80", {"h": ["a!"], "idle": ["b"]})
        found = used.apply(response(ROUTE, {"80": bad}))
        assert found == [Rejection("80", f"virtual host h: {NEGATIVE}")]
        assert clusters(used) == ["a"]

    @pytest.mark.parametrize("full", [True, False], ids=["sotw", "delta"])
    def test_it_is_named_until_it_is_good_again(self, graph: Graph, full: bool) -> None:
        graph.want(ENDPOINT, ["a", "b"])
        graph.apply(response(ENDPOINT, {"a": endpoints("a", "127.0.0.1", port=70_000)}, full=full))
        graph.apply(response(ENDPOINT, {"b": endpoints("b")}, full=full))
        assert list(graph.rejected) == [(ENDPOINT, "a")]
        graph.apply(response(ENDPOINT, {"a": endpoints("a")}, full=full))
        assert not graph.rejected

    def test_or_gone(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a", timeout_s=-1)}, full=False))
        graph.apply(response(LISTENER, {"l": listener("l", timeout_s=-1)}))
        graph.apply(response(CLUSTER, removed=["a"], full=False))
        assert list(graph.rejected) == [(LISTENER, "l")]
        graph.apply(response(LISTENER))
        assert not graph.rejected

    def test_or_until_another_stream_does_not_mention_it(self, graph: Graph) -> None:
        big = {"late": cluster("late", timeout_s=-1), "x": cluster("x" * EAGER_BYTES)}
        graph.apply(response(CLUSTER, big, full=False))
        graph.want(CLUSTER, ["late"])
        graph.apply(response(CLUSTER, {"a": cluster("a", timeout_s=-1)}, full=False))
        graph.apply(response(LISTENER, {"l": listener("l", timeout_s=-1)}, full=False))
        graph.new_stream()
        graph.apply(response(CLUSTER, {"b": cluster("b")}, full=False))
        assert set(graph.rejected) == {(CLUSTER, "late"), (LISTENER, "l")}

    def test_or_not_wanted_any_more(self, graph: Graph) -> None:
        graph.want(ENDPOINT, ["a", "b"])
        bad = {name: endpoints(name, "127.0.0.1", port=70_000) for name in ("a", "b")}
        graph.apply(response(ENDPOINT, bad))
        graph.unwant(ENDPOINT, ["a"])
        assert list(graph.rejected) == [(ENDPOINT, "b")]


class TestLateRejects:
    def test_in_a_large_response_what_nobody_uses_is_looked_at_when_it_is_used(
        self, graph: Graph, late: list[ResourceError]
    ) -> None:
        big = {"x": cluster("x" * EAGER_BYTES), "a": cluster("a", timeout_s=-1)}
        graph.apply(response(CLUSTER, {"a": cluster("a")}))
        assert graph.apply(response(CLUSTER, {**big, "a": cluster("a", timeout_s=3)})) == []
        graph.apply(response(CLUSTER, {"x": big["x"]}))
        assert graph.apply(response(CLUSTER, big)) == []
        assert not graph.rejected
        graph.want(CLUSTER, ["a"])
        assert graph.rejected == {(CLUSTER, "a"): f"late: {NEGATIVE}"}
        assert [str(each) for each in late] == [f"Cluster 'a': {NEGATIVE}"]
        assert not graph.wanted[ENDPOINT]
        # The same bytes again are known to be bad.
        assert graph.apply(response(CLUSTER, big)) == [Rejection("a", NEGATIVE)]

    def test_what_is_in_use_is_looked_at_at_once(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a")}))
        graph.want(CLUSTER, ["a"])
        big = {"x": cluster("x" * EAGER_BYTES), "a": cluster("a", timeout_s=-1)}
        assert graph.apply(response(CLUSTER, big)) == [Rejection("a", NEGATIVE)]
        assert timeout(graph) == 1.0

    def test_of_a_large_table_the_virtual_hosts_in_use_are(self, used: Graph, late: list[ResourceError]) -> None:
        clusters(used)
        good = used.snapshot.routes["80"]
        for host in good.get().virtual_hosts:
            host.value()
        bad_in_use = table("80", {"h": ["a!"], "idle": ["b"]}, size=LARGE)
        assert used.apply(response(ROUTE, {"80": bad_in_use})) == [Rejection("80", f"virtual host h: {NEGATIVE}")]
        assert used.snapshot.routes["80"] is good
        assert not late

    def test_also_when_the_use_began_while_the_newest_table_was_held_back(self, used: Graph) -> None:
        used.apply(response(ROUTE, {"80": table("80", {"h": {"a": 1}, "x": ["a"]}, size=LARGE)}))
        assert clusters(used) == ["a"]
        used.apply(response(ROUTE, {"80": table("80", {"h": {"a": 1, "b": 1}, "x": ["b"]}, size=LARGE)}))
        assert used.held_back == ["RouteConfiguration 80"]
        assert clusters(used, "x") == ["a"]
        bad = table("80", {"h": {"a": 1, "b": 1}, "x": ["b!"]}, size=LARGE)
        assert used.apply(response(ROUTE, {"80": bad})) == [Rejection("80", f"virtual host x: {NEGATIVE}")]
        assert clusters(used, "x") == ["a"]

    def test_a_large_table_that_nobody_used_is_not_looked_at(self, graph: Graph) -> None:
        for cluster_ in ("a", "b"):
            graph.apply(response(ROUTE, {"80": table("80", {"h": [cluster_], "x": []}, size=LARGE)}))
        assert not graph.snapshot.routes["80"].decoded
        assert clusters(graph) == ["b"]

    def test_and_the_others_when_they_are_hit(self, graph: Graph, late: list[ResourceError]) -> None:
        graph.want(ROUTE, ["80"])
        first = table("80", {"h": ["a"], "idle": ["b!"]}, size=LARGE)
        assert graph.apply(response(ROUTE, {"80": first})) == []
        assert clusters(graph) == ["a"]
        second = table("80", {"h": ["a"], "idle": ["b!"], "new": ["c!"]}, size=LARGE)
        assert graph.apply(response(ROUTE, {"80": second})) == []
        for host in ("idle", "new"):
            with pytest.raises(ResourceError):
                clusters(graph, host)
        assert [each.reason for each in late] == [f"virtual host {host}: {NEGATIVE}" for host in ("idle", "new")]
        assert graph.rejected == {(ROUTE, "80"): f"late: virtual host new: {NEGATIVE}"}
        assert clusters(graph) == ["a"]
        assert graph.apply(response(ROUTE, {"80": second})) == [Rejection("80", f"virtual host idle: {NEGATIVE}")]


class TestWhatIsWanted:
    def test_a_cluster_leads_to_its_assignment(self, graph: Graph) -> None:
        graph.want(CLUSTER, ["a", "b", "not there"])
        graph.apply(response(CLUSTER, {"a": cluster("a", assignment="elsewhere"), "b": cluster("b", type_="STATIC")}))
        assert graph.wanted[ENDPOINT] == {"elsewhere"}

    def test_or_to_its_names(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a", type_="STRICT_DNS")}))
        graph.want(CLUSTER, ["a"])
        assert graph.wanted_dns == {"a"}
        found = assignment("a", "127.0.0.1:80")
        graph.resolved("a", found)
        assert graph.snapshot.resolved == {"a": found}
        before = graph.snapshot
        graph.resolved("a", found)
        assert graph.snapshot is before

    def test_what_dns_says_too_late_is_not_kept(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {"a": cluster("a", type_="STRICT_DNS")}))
        graph.want(CLUSTER, ["a"])
        graph.resolved("a", ClusterLoadAssignment("a"))
        graph.unwant(CLUSTER, ["a"])
        assert graph.snapshot.resolved == {}
        graph.resolved("a", ClusterLoadAssignment("a"))
        assert graph.snapshot.resolved == {}

    def test_a_cluster_that_nobody_uses_lets_its_assignment_go(self, used: Graph) -> None:
        used.unwant(CLUSTER, ["a"])
        assert used.wanted[ENDPOINT] == set()
        assert used.snapshot.assignments == {}

    def test_but_for_one_that_another_cluster_uses(self, graph: Graph) -> None:
        graph.apply(response(CLUSTER, {name: cluster(name, assignment="shared") for name in ("a", "b")}))
        graph.want(CLUSTER, ["a", "b"])
        graph.unwant(CLUSTER, ["a"])
        assert graph.wanted[ENDPOINT] == {"shared"}

    def test_a_cluster_that_is_gone_lets_it_go_too_and_wants_it_again_when_it_is_back(self, used: Graph) -> None:
        used.apply(response(CLUSTER, {"b": cluster("b")}))
        assert used.wanted[ENDPOINT] == set()
        assert used.snapshot.assignments == {}
        used.apply(response(CLUSTER, {"a": cluster("a")}))
        assert used.wanted[ENDPOINT] == {"a"}

    def test_types_without_names_cannot_be_wanted(self, graph: Graph) -> None:
        graph.want(LISTENER, ["l"])
        graph.unwant(LISTENER, ["l"])
        assert LISTENER not in graph.wanted


class TestMakeBeforeBreak:
    def test_a_listener_in_use_keeps_its_table_until_the_next_one_is_there(self, used: Graph) -> None:
        before = used.snapshot.listeners["l"]
        used.apply(response(LISTENER, {"l": listener("l", "80", "81")}))
        assert used.snapshot.listeners["l"] is before
        assert used.wanted[ROUTE] == {"80", "81"}
        assert used.held_back == ["Listener l"]
        used.apply(response(ROUTE, {"81": table("81", {})}))
        assert used.snapshot.listeners["l"] is used.newest[LISTENER]["l"]
        assert used.held_back == []

    def test_a_listener_that_nobody_uses_changes_at_once(self, graph: Graph) -> None:
        graph.apply(response(LISTENER, {"l": listener("l", "80")}))
        graph.apply(response(LISTENER, {"l": listener("l", "81")}))
        assert graph.snapshot.listeners["l"] is graph.newest[LISTENER]["l"]
        assert graph.wanted[ROUTE] == set()

    def test_a_route_in_use_leads_to_a_new_cluster_when_that_is_warm(self, used: Graph) -> None:
        clusters(used)
        used.apply(response(ROUTE, {"80": table("80", {"h": {"a": 1}, "idle": ["b"]})}))
        # Another matcher: nothing says which of its clusters will be needed.
        assert clusters(used) == ["a"]
        used.apply(response(ROUTE, {"80": table("80", {"h": {"a": 1, "b": 1, "off": 0}, "idle": ["b"]})}))
        assert clusters(used) == ["a"]
        assert used.held_back == ["RouteConfiguration 80"]
        assert used.wanted[ENDPOINT] == {"a", "b"}
        used.apply(response(ENDPOINT, {"b": endpoints("b")}))
        assert clusters(used) == ["a", "b"]

    def test_a_virtual_host_that_nobody_uses_changes_at_once(self, used: Graph) -> None:
        used.unwant(CLUSTER, ["a"])
        used.apply(response(ROUTE, {"80": table("80", {"h": ["a", "redirect"], "new": ["b"]})}))
        used.apply(response(ROUTE, {"80": table("80", {"h": ["a", "redirect"], "new": ["a"]})}))
        assert clusters(used) == ["a"]
        assert clusters(used, "new") == ["a"]
        assert used.held_back == []

    def test_a_cluster_that_moves_keeps_its_endpoints_until_the_new_ones_have_come(self, used: Graph) -> None:
        used.apply(response(CLUSTER, {"a": cluster("a", assignment="elsewhere", timeout_s=2)}))
        assert timeout(used) == 1.0
        assert used.snapshot.warming == {"a"}
        assert used.wanted[ENDPOINT] == {"a", "elsewhere"}
        used.apply(response(ENDPOINT, {"a": endpoints("a", "127.0.0.2")}))
        assert timeout(used) == 1.0
        used.apply(response(ENDPOINT, {"elsewhere": endpoints("elsewhere")}))
        assert timeout(used) == 2.0
        assert used.snapshot.warming == set()
        # The old ones are let go with the cluster that used them.
        assert used.wanted[ENDPOINT] == {"elsewhere"}
        assert list(used.snapshot.assignments) == ["elsewhere"]

    def test_a_cluster_that_only_changes_its_settings_changes_at_once(self, used: Graph) -> None:
        used.apply(response(CLUSTER, {"a": cluster("a", timeout_s=2)}))
        assert timeout(used) == 2.0

    def test_a_cluster_that_becomes_static_too(self, used: Graph) -> None:
        used.apply(response(CLUSTER, {"a": cluster("a", type_="STATIC", timeout_s=2)}))
        assert timeout(used) == 2.0
        assert used.wanted[ENDPOINT] == set()

    def test_the_newest_of_several_successors_counts(self, used: Graph) -> None:
        used.apply(response(CLUSTER, {"a": cluster("a", assignment="second", timeout_s=2)}))
        used.apply(response(CLUSTER, {"a": cluster("a", assignment="third", timeout_s=3)}))
        assert used.wanted[ENDPOINT] == {"a", "third"}
        used.apply(response(ENDPOINT, {"second": endpoints("second")}))
        assert timeout(used) == 1.0
        used.apply(response(ENDPOINT, {"third": endpoints("third")}))
        assert timeout(used) == 3.0

    def test_one_that_is_taken_back_is_not_waited_for(self, used: Graph) -> None:
        used.apply(response(CLUSTER, {"a": cluster("a", assignment="second", timeout_s=2)}))
        used.apply(response(CLUSTER, {"a": cluster("a")}))
        assert used.snapshot.warming == set()
        assert used.wanted[ENDPOINT] == {"a"}

    def test_one_that_is_removed_is_gone_at_once(self, used: Graph) -> None:
        used.apply(response(CLUSTER, {"a": cluster("a", assignment="second", timeout_s=2)}))
        used.apply(response(CLUSTER, {}))
        assert "a" not in used.snapshot.clusters
        assert used.snapshot.warming == set()
        assert used.wanted[ENDPOINT] == set()

    def test_what_was_waited_for_long_enough_comes_into_force(self, used: Graph) -> None:
        used.apply(response(CLUSTER, {"a": cluster("a", assignment="elsewhere", timeout_s=2)}))
        used.apply(response(LISTENER, {"l": listener("l", "80", "81")}))
        used.release()
        assert timeout(used) == 2.0
        assert used.snapshot.listeners["l"] is used.newest[LISTENER]["l"]
        assert used.held_back == []

    def test_a_bad_successor_holds_nothing_back(self, used: Graph) -> None:
        assert used.apply(response(CLUSTER, {"a": cluster("a", assignment="elsewhere", timeout_s=-1)}))
        assert used.snapshot.warming == set()
        assert used.wanted[ENDPOINT] == {"a"}


def test_a_snapshot_that_a_call_has_does_not_change(used: Graph) -> None:
    before = used.snapshot
    held: dict[str, Resource[Cluster]] = dict(before.clusters)
    used.apply(response(CLUSTER, {"c": cluster("c")}))
    used.unwant(CLUSTER, ["a"])
    assert dict(before.clusters) == held
    assert list(before.assignments) == ["a"]
    assert used.snapshot.generation > before.generation
