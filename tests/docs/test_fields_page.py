"""docs/fields.md is what the table of fields says."""

from __future__ import annotations

from proxyless.xds.wire.coverage import rows
from tools.fields import PAGE, page


def test_the_page_of_fields_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run `python -m tools.fields`"


def test_every_field_is_on_the_page_or_counted_there() -> None:
    text = page()
    for row in rows():
        assert row.below or f"`{row.field}`" in text or f"`{row.message}` (" in text, row
