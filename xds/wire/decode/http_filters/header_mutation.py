"""envoy.extensions.filters.http.header_mutation.v3."""

from __future__ import annotations

from ....model.filters import MutateHeaders, ParameterMutation
from ....model.values import AppendAction
from ...refused import RefusedError
from ...schema import types as pb
from ..formats import checked_format
from ..mutations import mutations
from ..values import named

ACTIONS = tuple(AppendAction)


def header_mutation(
    message: pb.header_mutation_v3.HeaderMutation | pb.header_mutation_v3.HeaderMutationPerRoute,
) -> MutateHeaders:
    """What is done to every request and response of a chain, or of a place."""
    own = message.mutations
    return MutateHeaders(
        mutations(own.request_mutations),
        tuple(_parameter(each) for each in own.query_parameter_mutations),
        mutations(own.response_mutations),
        isinstance(message, pb.header_mutation_v3.HeaderMutation) and message.most_specific_header_mutations_wins,
    )


def _parameter(message: pb.core_v3.KeyValueMutation) -> ParameterMutation:
    if not message.HasField("append"):
        if not message.remove:
            raise RefusedError("One of 'append'/'remove' must be specified.")
        return ParameterMutation(message.remove, None)
    if message.remove:
        raise RefusedError("Only one of 'append'/'remove can be specified.")
    append = message.append
    if not append.HasField("record"):
        raise RefusedError("No record specified for append mutation.")
    if append.record.value.WhichOneof("kind") != "string_value":
        raise RefusedError("Only string value is allowed for record value.")
    value = checked_format(append.record.value.string_value)
    return ParameterMutation(append.record.key, value, named(ACTIONS, append.action))
