"""What a container is here: a process in a mount namespace with a root of its own, as an image would be.

The root is a tmpfs with this machine's /usr, a few files of /etc, this checkout and its Python, and the Pod's volumes.
Nothing of the machine's other files is to be seen, and nothing is written to them.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

CHECKOUT = Path(__file__).parents[2]
PROGRAMS = tuple(dict.fromkeys(str(Path(each).resolve()) for each in (CHECKOUT, sys.prefix, sys.base_prefix)))
PATH = f"{Path(sys.prefix).resolve()}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
ETC = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "localtime", "ssl", "ca-certificates", "mime.types")


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the machine, seen at `path`."""

    source: Path
    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """Who the process is; 0 is root with the capabilities that are left to it."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    capable: bool = True

    def command(self) -> list[str]:
        groups = ["--groups", ",".join(map(str, self.groups))] if self.groups else ["--clear-groups"]
        dropped = [] if self.capable else ["--bounding-set=-all", "--inh-caps=-all"]
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", *groups, *dropped, "--no-new-privs"]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """`root` is an empty folder; `files` are written into /etc."""

    namespace: str
    root: Path
    user: User
    mounts: Sequence[Mount] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False
    folder: str = "/"

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], output: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """The process itself: its id is the one that is signalled and entered."""
        program = ["chroot", str(self.root), "env", f"--chdir={self.folder}", *self.user.command(), "--", *arguments]
        script = f"{self._script()}\nexec {shlex.join(program)}"
        return subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "/bin/sh", "-euc", script],
            env=variables(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )

    def entered(
        self, process: int, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        """What to start to have another command in there, as `kubectl exec` has it, and its environment."""
        inside = ["nsenter", f"--target={process}", "--mount", "--net", "--root", "--wd=/"]
        return [*inside, *self.user.command(), "--", *arguments], variables(environment)

    def _script(self) -> str:
        root = shlex.quote(str(self.root))
        lines = [f"mount -t tmpfs -o mode=755 root {root}", f"cd {root}", "mkdir -p etc proc dev run var"]
        lines += ["mkdir -m 1777 tmp", "mkdir -m 1777 var/tmp", "mount --rbind /dev dev", "mount -t proc proc proc"]
        lines += ["for each in bin sbin lib lib64; do if [ -L /$each ]; then cp -P /$each $each; fi; done"]
        lines += ["ln -s ../run var/run"]
        lines += [f"if [ -e /etc/{each} ]; then cp -aL /etc/{each} etc/ 2>/dev/null || true; fi" for each in ETC]
        for name, text in self.files.items():
            lines.append(f"printf %s {shlex.quote(text)} > etc/{name}")
        mounts = [*(Mount(Path(path), path, True) for path in ("/usr", *PROGRAMS)), *self.mounts]
        for each in sorted(mounts, key=lambda mount: mount.path.rstrip("/").count("/")):  # a checkout may be in /tmp
            source, target = shlex.quote(str(each.source)), shlex.quote(each.path.lstrip("/"))
            if each.source.is_dir():
                lines.append(f"mkdir -p {target}")
            else:
                lines.append(f"mkdir -p $(dirname {target}); touch {target}")
            lines.append(f"mount --bind {source} {target}")
            if each.read_only:
                lines.append(f"mount -o remount,bind,ro {target}")
        if self.read_only:
            lines.append(f"mount -o remount,ro {root}")
        lines.append("cd /")
        return "\n".join(lines)


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """With those of the image."""
    return {"PATH": PATH, "PYTHONPATH": str(CHECKOUT), "HOME": "/", **environment}


def document_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """How it ended, as a container's status says it."""
    status = process.returncode
    return {"exitCode": 128 - status if status < 0 else status, **({"signal": -status} if status < 0 else {})}
