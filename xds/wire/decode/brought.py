"""Extensions of types that nothing here knows: configured by whichever package brings them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format

from ...model.extension import Config, Extension
from ..installed import BrokenError, find
from ..opening import type_of
from ..refused import RefusedError
from ..schema import typed_struct
from ..schema import types as pb


def brought(group: str, name: str, packed: pb.google_protobuf.Any, methods: Sequence[str]) -> Extension | None:
    """The extension that a package makes of a configuration; None where no package brings its type.

    `methods`: what it may be asked to do, one of which it must have.

    Raises:
        BrokenError: the package cannot be loaded, is not the only one, or makes something else.
        RefusedError: the package refuses the configuration.
    """
    type_name = type_of(packed)
    who = find(group, type_name)
    if who is None:
        return None
    factory, config = who.load(), _config(name, type_name, packed)
    try:
        made = factory(config)
    except Exception as error:
        said = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise RefusedError(f"{type_name} of package {who} refuses its configuration: {said}") from error
    if not any(callable(getattr(made, each, None)) for each in methods):
        raise BrokenError(f"{who.said} has made {made!r}, which has no {' nor '.join(methods)}")
    return Extension(config, str(who), made)


def _config(name: str, type_name: str, packed: pb.google_protobuf.Any) -> Config:
    struct = typed_struct(packed)
    if struct is None:
        return Config(name, type_name, raw=packed.value)
    try:
        fields: dict[str, Any] = json_format.MessageToDict(struct)
    except (json_format.Error, ValueError) as error:  # a number that JSON cannot spell is a ValueError
        raise RefusedError(f"TypedStruct of {type_name}: {error}") from error
    return Config(name, type_name, fields)
