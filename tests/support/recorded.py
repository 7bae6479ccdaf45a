"""The recorded istiod streams (tests/recorded/README.md), response by response.

`for recording in recordings(): recording.name, recording.delta, recording.data`. Names read like
`shop/xds/frontend/001-Cluster.pb` and `scale/svc0/005-RouteConfiguration.pb`; the order is that of the folders,
within a folder that in which istiod answered.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "recorded"


@dataclass(frozen=True, slots=True)
class Recording:
    """One DiscoveryResponse (`delta`: DeltaDiscoveryResponse), byte for byte."""

    name: str
    delta: bool
    data: bytes


def recordings(*, scale: bool = True) -> Iterator[Recording]:
    """Every recorded response; `scale=False` leaves out the 1,000 services (7 MB)."""
    for path in sorted((FOLDER / "shop" / "xds").glob("*/*.pb")):
        delta = path.parent.name.endswith("-delta")
        yield Recording(path.relative_to(FOLDER).as_posix(), delta, path.read_bytes())
    if scale:
        yield from _archive(FOLDER / "scale" / "svc0.tar.gz")


def _archive(path: Path) -> Iterator[Recording]:
    with tarfile.open(path) as archive:
        members = sorted((m for m in archive.getmembers() if m.name.endswith(".pb")), key=lambda m: m.name)
        for member in members:
            content = archive.extractfile(member)
            if content is not None:
                yield Recording(f"{path.parent.name}/{member.name}", delta=False, data=content.read())
