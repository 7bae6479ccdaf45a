"""Resources and virtual hosts that decode themselves: the last good version serves."""

from __future__ import annotations

import pytest

from proxyless.xds.model.resource import Resource, ResourceError, ResourceType
from proxyless.xds.model.route import LazyVirtualHost, VirtualHost
from proxyless.xds.model.values import Note

CLUSTER, ROUTE = ResourceType.CLUSTER, ResourceType.ROUTE


def decode(raw: bytes) -> str:
    if raw.startswith(b"bad"):
        raise ResourceError(CLUSTER, "a", raw.decode())
    return raw.decode()


def make(raw: bytes, previous: Resource[str] | None = None, heard: list[ResourceError] | None = None) -> Resource[str]:
    return Resource(CLUSTER, "a", "1", raw, decode, previous, None if heard is None else heard.append)


def test_a_resource_is_decoded_when_it_is_first_asked_for() -> None:
    resource = make(b"one")
    assert not resource.decoded
    assert resource.get() == "one"
    assert resource.get() is resource.get()
    assert resource.decoded


def test_a_bad_version_leaves_the_one_before_in_force_and_says_so_once() -> None:
    heard: list[ResourceError] = []
    resource = make(b"bad", make(b"one"), heard)
    assert resource.get() == "one"
    assert resource.get() == "one"
    assert [each.reason for each in heard] == ["bad"]
    assert resource.error is heard[0]


def test_without_a_good_version_there_is_an_error_each_time() -> None:
    resource = make(b"bad")
    for _ in range(2):
        with pytest.raises(ResourceError) as caught:
            resource.get()
        assert str(caught.value) == "Cluster 'a': bad"


def test_two_bad_versions_in_a_row_lead_to_the_good_one_before_them() -> None:
    good = make(b"one")
    good.get()
    second = make(b"bad 2", good)
    assert second.get() == "one"
    assert make(b"bad 3", second).get() == "one"


def test_a_good_version_forgets_the_one_before() -> None:
    resource = make(b"two", make(b"one"))
    assert resource.get() == "two"
    assert resource.previous is None


def test_a_resource_without_a_name_is_called_by_its_type() -> None:
    assert str(ResourceError(CLUSTER, "", "no name")) == "Cluster: no name"


@pytest.mark.parametrize(("raw", "asked", "state"), [(b"a", 0, "bytes"), (b"a", 1, "decoded"), (b"bad", 1, "rejected")])
def test_how_a_resource_shows_itself(raw: bytes, asked: int, state: str) -> None:
    resource = make(raw, make(b"one"))
    if asked:
        resource.get()
    assert repr(resource) == f"<Cluster 'a' version '1' {state}>"


def test_notes_are_made_when_they_are_asked_for() -> None:
    note = Note("a", "field", "why")
    assert Resource(CLUSTER, "a", "1", b"", decode, describe=lambda raw: (note,)).notes() == (note,)
    assert make(b"a").notes() == ()


def load(raw: bytes) -> VirtualHost:
    if raw.startswith(b"bad"):
        raise ResourceError(ROUTE, "80", raw.decode())
    return VirtualHost(raw.decode(), ("*",))


def host(
    raw: bytes, previous: LazyVirtualHost | None = None, heard: list[ResourceError] | None = None
) -> LazyVirtualHost:
    return LazyVirtualHost("h", ("*",), raw, load, previous, on_reject=None if heard is None else heard.append)


def test_a_bad_virtual_host_leaves_the_decoded_one_before_it_in_force_and_says_so_once() -> None:
    heard: list[ResourceError] = []
    good = host(b"one")
    good.value()
    second = host(b"bad 2", good, heard)
    third = host(b"bad 3", second, heard)
    assert second.value().name == third.value().name == third.value().name == "one"
    assert [each.reason for each in heard] == ["bad 2", "bad 3"]


def test_one_that_nobody_used_is_no_predecessor() -> None:
    bad = host(b"bad", host(b"one"))
    for _ in range(2):
        with pytest.raises(ResourceError):
            bad.value()


def test_a_good_virtual_host_forgets_the_one_before() -> None:
    good = host(b"one")
    good.value()
    new = host(b"two", good)
    assert new.value() is new.value()
    assert new.value().name == "two"
    assert new.previous is None
    assert new.decoded
    assert new.notes() == ()
