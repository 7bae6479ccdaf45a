"""The last good configuration on disk, so that a process can start while the control plane is away.

A file is written whole beside its place and renamed onto it; it is readable by its owner only, carries a version and a
checksum, and one that does not match is as good as none.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..model.records import dataclass

MAGIC = b"proxyless configuration 1\n"


@dataclass(frozen=True, slots=True)
class Cached:
    """What a file held: discovery responses as they could have come, and when they were saved (Unix time, s)."""

    responses: tuple[bytes, ...]
    saved_at: float


class Cache:
    """One file for one control plane and node."""

    def __init__(self, directory: Path, address: str, node_id: str) -> None:
        key = hashlib.sha256(f"{address}\n{node_id}".encode()).hexdigest()[:16]
        self.path = directory / f"{key}.xds"

    def save(self, responses: Iterable[bytes]) -> None:
        """Replace the file.

        Raises:
            OSError: the directory cannot be written.
        """
        body = b"".join(len(each).to_bytes(8, "big") + each for each in responses)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(MAGIC + hashlib.sha256(body).digest() + body)
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def load(self) -> Cached | None:
        """What was saved last; None where there is nothing, or nothing that can be trusted."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                raw = file.read()
        except OSError:
            return None
        # Somebody else's file, or one that others could write, says nothing.
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            return None
        head = len(MAGIC) + 32
        body = raw[head:]
        if raw[: len(MAGIC)] != MAGIC or raw[len(MAGIC) : head] != hashlib.sha256(body).digest():
            return None
        responses = []
        position = 0
        while position < len(body):
            size = int.from_bytes(body[position : position + 8], "big")
            responses.append(body[position + 8 : position + 8 + size])
            position += 8 + size
        return Cached(tuple(responses), status.st_mtime)
