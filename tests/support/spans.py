"""Spans that a test looks at: what is told of them, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from proxyless.governance.trace_context import Context


class FakeSpan:
    """What is told of a span."""

    def __init__(self, spans: FakeSpans, name: str, parent: Context | None, *, server: bool) -> None:
        self.spans, self.name, self.parent, self.server = spans, name, parent, server
        self.recording = spans.recording
        self.number = len(spans.made) + 1
        trace = parent.trace_id if parent is not None else spans.trace_id
        own = parent or Context()
        self.context = replace(own, trace_id=trace, span_id=self.number, sampled=True, parent_id=own.span_id)
        self.said: Mapping[str, str] | None = None
        self.failed = False
        spans.made.append(self)

    def child(self, name: str) -> FakeSpan:
        return FakeSpan(self.spans, name, self.context, server=False)

    def entered(self) -> AbstractContextManager[object]:
        return nullcontext()

    def attach(self) -> None:
        self.spans.current = self.context

    def end(self, name: str, attributes: Mapping[str, str], *, failed: bool) -> None:
        assert self.said is None
        self.name = name or self.name
        self.said, self.failed = attributes, failed


class FakeSpans:
    """Where spans are made: `recording`, in a trace of this id, beneath the `current` one."""

    def __init__(self) -> None:
        self.made: list[FakeSpan] = []
        self.recording = True
        self.trace_id = 0xABC
        self.current: Context | None = None

    def continued(self, context: Context | None) -> Context | None:
        return self.current or context

    def start(self, name: str, parent: Context | None, *, server: bool) -> FakeSpan:
        return FakeSpan(self, name, parent, server=server)
