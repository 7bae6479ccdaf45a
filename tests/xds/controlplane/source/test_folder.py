"""A folder as it is found: what cannot be read is named, what it said before stays, the rest is served."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from proxyless.xds.controlplane import FolderSource, Loaded, SourceError
from proxyless.xds.controlplane.source.folder import SUFFIXES
from tests.support.modes import forbidden
from tests.xds.controlplane.support import istio, service

WEB = service("web", "http:80")
ROUTED = istio("VirtualService", "web", "{hosts: [web], http: [{timeout: TIME, route: [{destination: {host: web}}]}]}")
LONG_AGO = 1_000_000_000


def loaded(source: FolderSource) -> tuple[list[str], list[str]]:
    """(objects in force, what is wrong) after a change that must have been noticed."""
    found = source.poll()
    assert found is not None
    return said(found)


def said(found: Loaded) -> tuple[list[str], list[str]]:
    return [each.ref.name for each in found.objects], [str(each) for each in found.faults]


def write(path: Path, text: str) -> None:
    """A file that is old, as files are."""
    path.write_text(text)
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_are_known_by_their_suffix(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"web{suffix}").write_text("{}" if suffix == ".json" else WEB)
    assert loaded(FolderSource(tmp_path))[0] == ([] if suffix == ".json" else ["web"])


def test_json_is_read_and_a_mistake_in_it_has_a_place(tmp_path: Path) -> None:
    meta = '"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}'
    (tmp_path / "a.json").write_text('{"apiVersion": "v1", "kind": "Service", ' + meta + "}")
    (tmp_path / "b.json").write_text('{"apiVersion": "v1",\n "kind" "Service"}')
    assert loaded(FolderSource(tmp_path)) == (["web"], ["b.json:2:9: is not JSON: Expecting ':' delimiter"])


def test_folders_below_are_read_and_hidden_names_and_other_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "shop" / "deep").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "shop" / "deep" / "web.yaml").write_text(WEB)
    for name in (".git/web.yaml", ".web.yaml", "web.yaml.orig", "README.md"):
        (tmp_path / name).write_text("[")
    assert loaded(FolderSource(tmp_path)) == (["web"], [])


def test_a_mounted_config_map_is_read_once_and_followed(tmp_path: Path) -> None:
    """Kubernetes mounts links to a hidden link to a hidden folder, and swaps the link in the middle."""
    for version in ("1s", "2s"):
        (tmp_path / f"..{version}").mkdir()
        write(tmp_path / f"..{version}" / "web.yaml", WEB + ROUTED.replace("TIME", version))
    (tmp_path / "..data").symlink_to("..1s")
    (tmp_path / "web.yaml").symlink_to("..data/web.yaml")
    source = FolderSource(tmp_path)
    assert loaded(source) == (["web", "web"], [])
    (tmp_path / "..new").symlink_to("..2s")
    (tmp_path / "..new").rename(tmp_path / "..data")
    found = source.poll()
    assert found is not None
    assert [each.spec.http[0].timeout for each in found.objects if each.kind == "VirtualService"] == [2.0]  # type: ignore[attr-defined]


def test_a_link_to_a_folder_around_it_is_followed_once(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "web.yaml").write_text(WEB)
    (tmp_path / "shop" / "all").symlink_to(tmp_path)
    (tmp_path / "also").symlink_to("shop")
    objects, faults = loaded(FolderSource(tmp_path))
    assert (objects, faults) == (["web"], [])


def test_what_cannot_be_read_is_named_and_the_rest_is_served(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(WEB)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "nowhere.yaml").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert loaded(FolderSource(tmp_path)) == (
        ["web"],
        [
            "bytes.yaml: cannot be read: is not UTF-8",
            "loop.yaml: cannot be read: Too many levels of symbolic links",
            "nowhere.yaml: cannot be read: it links to nothing",
            "pipe.yaml: cannot be read: it is no regular file",
        ],
    )


def test_a_file_that_becomes_unreadable_stays_in_force_until_it_is_gone(tmp_path: Path) -> None:
    file, aside = tmp_path / "web.yaml", tmp_path / "web.txt"
    write(aside, WEB)
    file.symlink_to(aside.name)
    source = FolderSource(tmp_path)
    assert loaded(source) == (["web"], [])
    aside.rename(tmp_path / "gone.txt")
    assert loaded(source) == (["web"], ["web.yaml: cannot be read: it links to nothing"])
    assert source.poll() is None
    (tmp_path / "gone.txt").rename(aside)
    assert loaded(source) == (["web"], [])
    file.unlink()
    assert loaded(source) == ([], [])


@pytest.mark.parametrize("what", ["a file", "a folder below", "the folder"])
def test_modes_that_forbid_are_heeded(what: str, tmp_path: Path) -> None:
    below = tmp_path / "shop"
    below.mkdir()
    write(below / "web.yaml", WEB)
    target = {"a file": below / "web.yaml", "a folder below": below, "the folder": tmp_path}[what]
    place = {"a file": "shop/web.yaml", "a folder below": "shop", "the folder": str(tmp_path)}[what]
    source = FolderSource(tmp_path)
    assert loaded(source) == (["web"], [])
    with forbidden(target):
        os.utime(tmp_path, (LONG_AGO, LONG_AGO))
        found = FolderSource(tmp_path).poll() if what != "the folder" else None
        if found is not None:
            assert said(found) == ([], [f"{place}: cannot be read: Permission denied"])
        if what != "a file":
            assert loaded(source) == (["web"], [f"{place}: cannot be read: Permission denied"])
            assert source.poll() is None
    if what != "a file":
        assert loaded(source) == (["web"], [])


def test_a_folder_that_nobody_may_list_is_bad_input(tmp_path: Path) -> None:
    with forbidden(tmp_path), pytest.raises(SourceError, match=f"^cannot read folder {tmp_path}: Permission denied$"):
        FolderSource(tmp_path)


def test_the_folder_going_away_is_a_fault_and_its_coming_back_is_seen(tmp_path: Path) -> None:
    folder, aside = tmp_path / "istio", tmp_path / "aside"
    folder.mkdir()
    write(folder / "web.yaml", WEB)
    source = FolderSource(folder)
    assert loaded(source) == (["web"], [])
    folder.rename(aside)
    assert loaded(source) == (["web"], [f"{folder}: cannot be read: No such file or directory"])
    assert source.poll() is None
    aside.rename(folder)
    assert loaded(source) == (["web"], [])


def test_a_broken_file_keeps_what_it_said_and_the_rest_changes(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(WEB + ROUTED.replace("TIME", "1s"))
    source = FolderSource(tmp_path)
    loaded(source)
    file.write_text(WEB + ROUTED.replace("TIME", "soon"))
    (tmp_path / "other.yaml").write_text(service("other", "http:80"))
    objects, faults = loaded(source)
    assert objects == ["other", "web", "web"]
    (fault,) = faults
    assert fault.startswith("web.yaml:")
    assert 'VirtualService shop/web: spec.http[0].timeout must be a duration such as 1.5s or 500ms, not "soon"' in fault
    file.write_text(WEB)
    assert loaded(source) == (["other", "web"], [])


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (
            "kind: VirtualService",
            "kind: VirtualServic",
            'kind networking.istio.io has no kind "VirtualServic" (did you',
        ),
        ("kind: VirtualService\n", "", "is no Kubernetes object: kind is missing"),
        ("networking.istio.io/v1", "v1", "apiVersion of VirtualService must be one of networking.istio.io/v1, net"),
        ("networking.istio.io/v1", "networking.istio.io", 'networking.istio.io/v1alpha3, not "networking.istio.io"'),
        (
            "networking.istio.io/v1",
            "networkin.istio.io/v1",
            "apiVersion of VirtualService must be one of networking.is",
        ),
        ("  name: web\n", "  nam: web\n", "metadata.name is missing"),
        ("metadata:\n", "meta:\n", "metadata is missing"),
    ],
)
def test_a_document_that_lost_its_kind_or_name_takes_nothing_away(
    right: str, wrong: str, said: str, tmp_path: Path
) -> None:
    file, routed = tmp_path / "web.yaml", ROUTED.replace("TIME", "1s")
    file.write_text(WEB + routed)
    source = FolderSource(tmp_path)
    assert loaded(source) == (["web", "web"], [])
    file.write_text(WEB + routed.replace(right, wrong))
    objects, faults = loaded(source)
    assert objects == ["web", "web"]
    assert [said in fault for fault in faults] == [True], faults
    file.write_text(WEB)
    assert loaded(source) == (["web"], [])


def test_a_tab_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("kind: Service\nmetadata:\n\tname: web\n")
    assert loaded(FolderSource(tmp_path)) == (
        [],
        ["web.yaml:3:1: is not YAML: a tab stands where YAML wants spaces"],
    )
    (tmp_path / "web.yaml").write_text("kind: [Service\n")
    (fault,) = loaded(FolderSource(tmp_path))[1]
    assert fault.startswith("web.yaml:2:1: is not YAML: ")


def test_a_document_of_somebody_elses_kind_replaces_what_it_was(tmp_path: Path) -> None:
    file, routed = tmp_path / "web.yaml", ROUTED.replace("TIME", "1s")
    file.write_text(WEB + routed)
    source = FolderSource(tmp_path)
    loaded(source)
    file.write_text(WEB + routed.replace("networking.istio.io/v1", "example.com/v1"))
    assert loaded(source) == (["web"], [])


def test_of_two_objects_of_one_name_the_first_counts(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(ROUTED.replace("TIME", "1s"))
    (tmp_path / "b.yaml").write_text(f"# again\n{ROUTED.replace('TIME', '2s')}")
    source = FolderSource(tmp_path)
    found = source.poll()
    assert found is not None
    assert [each.spec.http[0].timeout for each in found.objects] == [1.0]  # type: ignore[attr-defined]
    place = "b.yaml:3: VirtualService shop/web"
    assert [str(each) for each in found.faults] == [f"{place}: is defined twice, first in a.yaml:2, which counts"]


def test_what_is_only_touched_or_written_in_other_words_is_no_change(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    write(file, WEB)
    source = FolderSource(tmp_path)
    first = source.poll()
    assert first is not None
    os.utime(file, (LONG_AGO + 1, LONG_AGO + 1))
    assert source.poll() is None
    file.write_text("# a word\n" + WEB)
    again = source.poll()
    assert again is not None
    assert [*again.objects] == [*first.objects]


def test_a_file_written_twice_within_one_tick_of_the_clock_is_read_twice(tmp_path: Path) -> None:
    file, clock = tmp_path / "web.yaml", itertools.count(LONG_AGO * 10**9)
    source = FolderSource(tmp_path, now=clock.__next__)
    for time in ("1s", "2s", "3s"):
        write(file, ROUTED.replace("TIME", time))
        found = source.poll()
        assert found is not None
        assert found.objects[0].spec.http[0].timeout == float(time[0])  # type: ignore[attr-defined]
    assert source.poll() is None


def test_an_edit_of_the_status_alone_counts_where_a_status_does(tmp_path: Path) -> None:
    entry = istio("ServiceEntry", "outside", "{hosts: [outside.example], ports: [{number: 80, name: http}]}")
    address = "status: {addresses: [{host: outside.example, value: 240.240.0.1}]}\n"
    write(tmp_path / "a.yaml", entry + address)
    source = FolderSource(tmp_path)
    first = source.poll()
    write(tmp_path / "a.yaml", entry + "# the same in other words\n" + address)
    same = source.poll()
    assert first is not None
    assert same is not None
    assert same.objects[0] is first.objects[0]
    write(tmp_path / "a.yaml", entry + address.replace("240.0.1", "240.0.22"))
    after = source.poll()
    assert after is not None
    assert "240.240.0.22" in str(after.objects[0].status)
