"""A recorded stream as a link: the responses of a folder or archive, in the order they came, whatever is asked."""

from collections.abc import Iterator
from pathlib import Path

from .link import LinkError


def recorded(source: Path, until: int | None = None) -> Iterator[tuple[str, bytes]]:
    """(file name, bytes) of node.json, where there is one, and of each `.pb` file, in order of their names.

    `until` stops after the file whose number it is.

    Raises:
        LinkError: there is no such folder or archive, or nothing recorded in it.
    """
    found = False
    for name, raw in _files(source):
        if name == "node.json":
            yield name, raw
            continue
        number = name.partition("-")[0]
        if until is not None and number.isdigit() and int(number) > until:
            continue
        found = True
        yield name, raw
    if not found:
        raise LinkError(f"{source}: no recorded responses (*.pb)")


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    try:
        if source.is_dir():
            for path in sorted((*source.glob("*.pb"), *source.glob("node.json"))):
                yield path.name, path.read_bytes()
        elif source.name.endswith((".tar.gz", ".tgz", ".tar")):
            yield from _archived(source)
        else:
            raise LinkError(f"{source}: neither a folder nor an archive")
    except OSError as error:
        raise LinkError(f"{source}: {error.strerror or error}") from error


def _archived(source: Path) -> Iterator[tuple[str, bytes]]:
    import tarfile  # most recordings are folders
    import zlib

    try:
        with tarfile.open(source) as archive:
            members = [
                each for each in archive.getmembers() if each.isfile() and each.name.endswith((".pb", "node.json"))
            ]
            for member in sorted(members, key=lambda each: each.name):
                file = archive.extractfile(member)
                if file is not None:
                    yield Path(member.name).name, file.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise LinkError(f"{source}: {error}") from error
