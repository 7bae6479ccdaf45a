"""Envoy's own descriptors, as xds-protos ships them, without installing xds-protos where it does harm.

xds-protos overwrites files of googleapis-common-protos and opentelemetry-proto, so it lives in a virtual environment
of its own, in a cache folder keyed by its version (`$XDG_CACHE_HOME/proxyless`, by default `~/.cache/proxyless`). The
first use makes it (`python -m venv`, `pip install`); a lock keeps parallel processes from making it twice. What comes
back is one FileDescriptorSet with the options of protoc-gen-validate still inside.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

XDS_PROTOS = "1.85.0"

# Runs inside the side environment: imports every generated module and prints the files, dependencies first.
_DUMP = """
import importlib, pkgutil, sys
from google.protobuf import descriptor_pb2
done, out = set(), descriptor_pb2.FileDescriptorSet()
def add(file):
    if file.name not in done:
        done.add(file.name)
        for dependency in file.dependencies:
            add(dependency)
        file.CopyToProto(out.file.add())
for top in ("envoy", "udpa", "validate", "xds"):
    package = importlib.import_module(top)
    names = {m.name for m in pkgutil.walk_packages(package.__path__, top + ".") if m.name.endswith("_pb2")}
    for name in sorted(names):
        add(importlib.import_module(name).DESCRIPTOR)
sys.stdout.buffer.write(out.SerializeToString(deterministic=True))
"""


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "proxyless"


@cache
def files() -> descriptor_pb2.FileDescriptorSet:
    """Every file of xds-protos and what it depends on, dependencies first."""
    folder = cache_folder() / f"xds-protos-{XDS_PROTOS}"
    folder.mkdir(parents=True, exist_ok=True)
    descriptors = folder / "descriptors.pb"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not descriptors.exists():
            _make(folder, descriptors)
    return descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes())


def _make(folder: Path, descriptors: Path) -> None:
    home = folder / "venv"
    venv.create(home, with_pip=True, clear=True)
    python = home / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"xds-protos=={XDS_PROTOS}"],
        check=True,
        env=environment,
        stdout=sys.stderr,
    )
    dumped = subprocess.run([python, "-c", _DUMP], check=True, env=environment, stdout=subprocess.PIPE, cwd=folder)
    partial = folder / "descriptors.partial"
    partial.write_bytes(dumped.stdout)
    partial.replace(descriptors)


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """A pool of its own with all official files, validation options registered as extensions."""
    made = descriptor_pool.DescriptorPool()
    for file in files().file:
        made.Add(file)
    return made


def options_class(full_name: str) -> Any:
    """An option class of `pool()`, which knows the extensions of the validation rules."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(full_name))


def extension(name: str) -> Any:
    """An extension field of `pool()` by full name, for instance `validate.rules`."""
    found: Any = pool().FindExtensionByName(name)
    message_factory.GetMessageClassesForFiles([found.file.name], pool())
    return found
