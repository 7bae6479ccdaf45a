"""A finder that lets others find a module, and patches it when it has been run."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .libraries import Library


class Hooks(MetaPathFinder):
    """Stands before all other finders, and asks them."""

    def __init__(self, libraries: Iterable[Library]) -> None:
        self._wanted: dict[str, list[Library]] = {}
        for each in libraries:
            self._wanted.setdefault(each.module or each.name, []).append(each)
        self._asking: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """That of a library which is to be patched, with a loader that does."""
        del path, target
        wanted = self._wanted.get(fullname)
        if wanted is None or fullname in self._asking:
            return None
        self._asking.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Patching(spec.loader, wanted)
        return spec


class _Patching(Loader):
    """A module's own loader, and what comes after it."""

    def __init__(self, inner: Loader, libraries: Iterable[Library]) -> None:
        self._inner = inner
        self._libraries = libraries

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        for each in self._libraries:
            each.patch_loaded(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
