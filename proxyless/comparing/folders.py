"""A folder of configuration, and the control plane that serves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..xds.controlplane import Finding, FolderSource, Plane, SourceError
from ..xds.controlplane.checking import findings

_PLACE = re.compile(r"\bitems\[\d+\]\.?|[\w./-]+\.(?:yaml|yml|json)(?::\d+)*")
"""Where something stands: in which member of a List, file and line."""


class Folder:
    """One side of a comparison.

    Raises:
        ConfigurationError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        try:
            if not Path(path).is_dir():
                raise SourceError(f"{path}: not a folder")
            source = FolderSource(path)
        except SourceError as error:
            raise ConfigurationError(str(error)) from error
        self.plane = Plane(source)
        self.findings = findings(source, self.plane.state.faults, self.world)

    @property
    def world(self) -> Any:
        """The mesh that its objects make."""
        return self.plane.state.world


def findings_changed(old: Iterable[Finding], new: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings of `check` that are new or gone; files and lines alone make no difference."""
    before, after = {_key(each): each for each in old}, {_key(each): each for each in new}
    return {
        "new": [each for key, each in sorted(after.items()) if key not in before],
        "gone": [each for key, each in sorted(before.items()) if key not in after],
    }


def _key(finding: Finding) -> tuple[str, str, str, str]:
    subject = str(finding.object) if finding.object is not None else finding.file
    field, message = (_PLACE.sub("", each) for each in (finding.field, finding.message))
    return finding.severity, subject, field, message
