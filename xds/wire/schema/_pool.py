"""The private descriptor pool and the classes that come out of it.

Loaded at first use (about 8 ms), kept for the life of the process: descriptors and classes never change, so this is a
constant that is expensive to write down rather than state.
"""

from functools import cache
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

DATA = Path(__file__).parent / "data"

_classes: dict[str, type[Message]] = {}


@cache
def pool() -> DescriptorPool:
    """The pool that holds Envoy's schema, apart from protobuf's default pool and from what else the program loads."""
    made = DescriptorPool()
    for file in FileDescriptorSet.FromString((DATA / "schema.pb").read_bytes()).file:
        made.AddSerializedFile(file.SerializeToString())
    return made


def find(type_url: str) -> type[Message] | None:
    """The message class of a type URL (`type.googleapis.com/envoy...`) or a full message name; None if unknown."""
    full_name = type_url.rpartition("/")[2]
    known = _classes.get(full_name)
    if known is None:
        try:
            descriptor = pool().FindMessageTypeByName(full_name)
        except KeyError:
            return None
        known = _classes.setdefault(full_name, GetMessageClass(descriptor))
    return known
