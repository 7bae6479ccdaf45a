"""What decides: policies of one action, or a tree of matchers (envoy source: filters/common/rbac/engine_impl)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...xds.model.matching import Input, MatcherTree
from ...xds.model.rbac import Engine, Rules, Verdict
from ...xds.model.records import dataclass
from ..peer import Peer
from ..trees import Reader, compile_tree, read_extension
from .clues import Shape
from .conditions import policy_test
from .index import FEW, Index, Test
from .question import Question


@dataclass(frozen=True, slots=True)
class Outcome:
    """`policy` is the one that matched, empty where none did. `logged`: what a LOG action says, None without one."""

    allowed: bool
    policy: str = ""
    logged: bool | None = None


NOBODY = Peer()

Decide = Callable[[Question], Outcome]


def engine_of(engine: Engine) -> Decide:
    """What decides, ready to be asked.

    Raises:
        BadRegexError: a pattern that RE2 refuses.
    """
    return _rules(engine) if isinstance(engine, Rules) else _tree(engine)


def _rules(rules: Rules) -> Decide:
    action = rules.action
    logs = action == "LOG"
    outcomes = tuple(Outcome(action != "DENY", name, True if logs else None) for name, _ in rules.policies)
    otherwise = Outcome(action != "ALLOW", logged=False if logs else None)
    first = _first([policy_test(policy) for _, policy in rules.policies])

    def decide(question: Question) -> Outcome:
        number = first(question)
        return outcomes[number] if number >= 0 else otherwise

    return decide


def _first(policies: list[tuple[Test, Shape | None]]) -> Callable[[Question], int]:
    tests = tuple(test for test, _ in policies)
    if len(tests) > FEW:
        return Index(tests, [shape for _, shape in policies]).first

    def first(question: Question) -> int:
        for number, test in enumerate(tests):
            if test(question):
                return number
        return -1

    return first


def _tree(tree: MatcherTree[Verdict]) -> Decide:
    search = compile_tree(tree, _read)
    logs = any(each.action == "LOG" for each in _verdicts(tree))
    nowhere = Outcome(allowed=False)

    def decide(question: Question) -> Outcome:
        found = search(question)
        if found is None:
            return nowhere
        return Outcome(found.action != "DENY", found.name, found.action == "LOG" if logs else None)

    return decide


def _verdicts(tree: MatcherTree[Verdict]) -> list[Verdict]:
    found: list[Verdict] = []
    for each in tree.ends():
        found += _verdicts(each.then) if isinstance(each.then, MatcherTree) else [each.then]
    return found


def _read(looked_at: Input) -> Reader[Question]:
    """How an input is read: nothing where it is empty."""
    if looked_at.kind == "request_header":
        name = looked_at.name.lower().encode()
        return lambda question: b",".join(question.request.values(name)) or None
    if looked_at.extension is not None:
        own = read_extension(looked_at.extension)
        return lambda question: own(question.request)
    read = _INPUTS[looked_at.kind]
    return lambda question: read(question) or None


def _shown(question: Question) -> Peer:
    """The peer as its certificate says; one that was not validated says nothing."""
    peer = question.peer
    return peer if peer is not None and peer.validated else NOBODY


def _joined(names: tuple[str, ...]) -> bytes:
    return ",".join(names).encode()


_INPUTS: Mapping[str, Callable[[Question], bytes]] = {
    "destination_ip": lambda question: question.destination.encode(),
    "destination_port": lambda question: b"%d" % question.port,
    "source_ip": lambda question: question.remote.encode(),
    "source_port": lambda question: b"%d" % question.source_port,
    "direct_source_ip": lambda question: question.source.encode(),
    "server_name": lambda question: question.server_name,
    "uri_san": lambda question: _joined(_shown(question).uri_sans),
    "dns_san": lambda question: _joined(_shown(question).dns_sans),
    "subject": lambda question: _shown(question).subject.encode(),
}
