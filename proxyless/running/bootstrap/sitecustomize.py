"""Run by each interpreter below `proxyless run`, before its program; then the `sitecustomize` that it would have run.

It may be an interpreter in which proxyless is not installed: that is told, and where it is the first one it ends.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # every interpreter pays for an import


def _govern() -> None:
    try:
        from proxyless.running import begin
    except ImportError as error:
        said = os.environ.get("PROXYLESS_RUN", "")
        os.environ["PROXYLESS_RUN"] = ""
        print(f"proxyless run: {sys.executable} is not governed: {error}", file=sys.stderr, flush=True)  # noqa: T201
        if said:
            os._exit(2)
        return
    begin()


def _go_on() -> None:
    """What stood in the place of this file."""
    path = [each for each in sys.path if os.path.abspath(each or ".") != HERE]  # noqa: PTH100
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


if __name__ == "sitecustomize":  # not where somebody imports it as a part of proxyless
    _govern()
    _go_on()
