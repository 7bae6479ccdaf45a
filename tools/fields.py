"""docs/fields.md: the table of coverage as a page. `python -m tools.fields` writes it; a test compares.

One section for each message that is looked into, its fields grouped by what becomes of them. What stands below a field
that is not honoured shares that field's fate and is counted there; extensions of which nothing is done share one table.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from proxyless.xds.wire.coverage import Row, rows
from proxyless.xds.wire.coverage.status import Status
from proxyless.xds.wire.coverage.walk import TABLE
from tests.effects.registry import all_effects

PAGE = Path(__file__).parents[1] / "docs" / "fields.md"

HEAD = """# Fields

Every field of every message that can be reached from a `Listener`, a `RouteConfiguration`, a `Cluster` and a
`ClusterLoadAssignment`, and of the filters and other extensions that istiod sends: whether it takes effect, and if not,
why. `proxyless check`, `proxyless status` and `proxyless explain` name what is set and not done from the same table
(`xds/wire/coverage/`). Written by `python -m tools.fields`, not by hand.

- **honoured**: it takes effect. The last column names the modules of `tests/effects/cases/` that prove it: the test
  `tests/gates/test_effects.py -k <message>.<field>` fails when the effect is removed. `container`: what is in it is
  judged field by field.
- **meaningless**: no decision inside a process depends on it, for the reason given. `tests/gates/test_meaningless.py`
  sets each wherever it can stand, and no case sees a difference.
- **not yet**: it is not done; the reason says what happens instead. *Named by* says what names it in the warnings,
  where it does not name itself.
"""


def page() -> str:
    """The page as it has to be."""
    found = rows()
    below: Counter[str] = Counter(row.below for row in found if row.below)
    whole = {name: entry for name, entry in TABLE.items() if isinstance(entry, Status)}
    own: dict[str, list[Row]] = defaultdict(list)
    for row in found:
        if not row.below and row.message not in whole:
            own[row.message].append(row)
    tests = _tests()
    lines = [
        HEAD,
        *_summary(found, own, whole),
        *_not_yet(own),
        *_extensions(found, whole),
        "## Message by message",
        "",
    ]
    for message, fields in own.items():
        lines += [f"### {message}", "", *_fields(fields, below, tests), ""]
    return "\n".join(lines).rstrip() + "\n"


def _tests() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for module, case in all_effects():
        if module not in found[case.field]:
            found[case.field].append(module)
    return found


def _summary(found: list[Row], own: dict[str, list[Row]], whole: dict[str, Status]) -> Iterator[str]:
    kinds = Counter(row.kind for fields in own.values() for row in fields)
    extensions = Counter(row.kind for row in found if row.message in whole)
    deeper = Counter(row.kind for row in found if row.below)
    yield from ("## In short", "", "| fields | honoured | meaningless | not yet |", "|---|---:|---:|---:|")
    for what, counts in (
        (f"of the {len(own)} messages that are looked into", kinds),
        (f"of the {len(whole)} extensions that are taken as a whole", extensions),
        ("below fields that are not honoured", deeper),
    ):
        yield f"| {what} | {counts['honoured'] or ''} | {counts['meaningless'] or ''} | {counts['not yet'] or ''} |"
    yield ""


def _not_yet(own: dict[str, list[Row]]) -> Iterator[str]:
    """What is not done, by reason."""
    reasons: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for message, fields in own.items():
        for row in fields:
            if row.kind == "not yet":
                reasons[row.why][message].append(row.field)
    yield from ("## Not yet", "", "By reason, of the messages that are looked into.", "")
    for why in sorted(reasons, key=str.lower):
        places = "; ".join(f"{_short(message)} {_names(fields)}" for message, fields in reasons[why].items())
        yield f"- {_sentence(why)}: {places}"
    yield ""


def _extensions(found: list[Row], whole: dict[str, Status]) -> Iterator[str]:
    """Extensions of which nothing is done, or of which nothing means anything."""
    counts: Counter[str] = Counter(row.message for row in found if row.message in whole)
    counts.update(row.below.rpartition(".")[0] for row in found if row.below.rpartition(".")[0] in whole)
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, status in whole.items():
        # What filters have in common is said once: their names stand before it.
        reasons[status.kind, status.why.rpartition(": ")[2] if ": " in status.why else status.why].append(name)
    yield from ("## Extensions as a whole", "", "| | why | message (fields) |", "|---|---|---|")
    for (kind, why), names in sorted(reasons.items()):
        listed = ", ".join(f"`{name}` ({counts[name]})" for name in sorted(names))
        yield f"| {kind} | {why} | {listed} |"
    yield ""


def _fields(fields: Iterable[Row], below: Counter[str], tests: dict[str, list[str]]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in fields:
        name = f"{row.message}.{row.field}"
        deeper = f" (and {below[name]} below)" if below[name] else ""
        last = row.why
        if row.kind == "honoured":
            last = ", ".join(tests.get(name, ["container"]))
        elif row.told:
            last = f"{row.why} (named by {row.told})"
        groups[row.kind, last].append(f"`{row.field}`{deeper}")
    yield from ("| fields | | |", "|---|---|---|")
    for (kind, last), names in sorted(groups.items()):
        yield f"| {' '.join(names)} | {kind} | {last} |"


def _short(message: str) -> str:
    return message.rpartition(".v3.")[2] or message


def _names(fields: list[str]) -> str:
    return ", ".join(f"`{each}`" for each in fields)


def _sentence(why: str) -> str:
    return why.replace("{value} ", "the policy ")


if __name__ == "__main__":
    PAGE.write_text(page())
