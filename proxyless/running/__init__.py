"""`proxyless run -- COMMAND`: what happens in the interpreters below it, before their programs begin.

In comes the environment: `proxyless run` has put the folder `bootstrap` before PYTHONPATH, whose `sitecustomize` every
interpreter runs that finds it there, whoever starts it: workers of servers, children of `multiprocessing`, a shell's.
It installs hooks (`hooks`) that patch a library as soon as the program has imported it (`libraries`, `servers`); out
comes a program whose calls and incoming requests are governed by the one mesh of the process. Nothing is imported here
that a program does not import itself, until it makes a client or serves an app. The first interpreter says on stderr
what it governs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, MutableMapping

from .._variables import DISABLE, UNGOVERNED, names, switched
from .hooks import Hooks
from .libraries import LIBRARIES, Library, of_package
from .servers import SERVERS
from .sockets import MTLS, SKIP

VARIABLE = "PROXYLESS_RUN"
"""How to say what is governed: `text`, `json`, or empty where it has been said."""
SUITES = "PROXYLESS_RUN_SUITES"
"""The suites that other packages bring, as JSON: `proxyless run` has looked for them, which costs too much for each."""
KNOWN = (*LIBRARIES, *SERVERS)
BAD_INPUT = 2


def begin(environ: MutableMapping[str, str] = os.environ) -> None:
    """In each interpreter. The first one ends with status 2 where something cannot be governed as it was asked for."""
    said = environ.get(VARIABLE, "")
    environ[VARIABLE] = ""  # its children need not say it again
    off = switched(DISABLE, environ)
    skipped = names(environ.get(SKIP, ""))
    known = [*KNOWN, *(of_package(*each) for each in json.loads(environ.get(SUITES) or "[]"))]
    wanted = [] if off else [each for each in known if each.wanted(skipped)]
    if said:
        lines = [text for each in wanted if (text := each.unsupported())]
        if lines:
            _say("\n".join(f"proxyless run: {text}" for text in lines))
            os._exit(BAD_INPUT)  # `sitecustomize` has no other way to end an interpreter
        mtls = MTLS not in skipped
        _say(report(wanted, names(environ.get(UNGOVERNED, "")), mtls=mtls, off=off, form=said))
    if wanted:
        sys.meta_path.insert(0, Hooks(wanted))


def _say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def report(libraries: Iterable[Library], ungoverned: list[str], *, mtls: bool, off: bool, form: str) -> str:
    """What is governed, one line for each library, or a JSON document on one line."""
    found = [(each, version) for each in libraries if (version := each.version())]
    governs = {each.name: version for each, version in found if not each.incoming}
    incoming = {each.name: version for each, version in found if each.incoming}
    serving = list(dict.fromkeys(each.name for each, _ in found if each.mtls)) if mtls else []
    if form == "json":
        told = {"governs": governs, "incoming": incoming, "mtls": serving, "ungoverned": ungoverned, "disabled": off}
        return json.dumps({**told, "python": sys.executable})
    lines = [f"governs {name} {version}" for name, version in governs.items()]
    for name, version in incoming.items():
        by = ", with the mesh's mTLS" if name in serving else ""
        lines.append(f"governs incoming requests of {name} {version}{by}")
    if off:
        lines = ["governs nothing: PROXYLESS_DISABLE is set"]
    elif not lines:
        lines = [
            f"governs nothing: {sys.executable} has none of {', '.join(dict.fromkeys(each.name for each in KNOWN))}"
        ]
    if bare := [name for name in incoming if name not in serving]:
        refused = "a port that takes mTLS only (STRICT) refuses all requests"
        lines.append(f"leaves sockets of {', '.join(bare)} alone: {refused}")
    if ungoverned:
        lines.append(f"leaves alone calls to {', '.join(ungoverned)}")
    return "\n".join(f"proxyless run: {each}" for each in lines)
