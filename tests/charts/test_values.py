"""Values of the charts: every one is described, the README says the same, and all files of values fit the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tools.charts import CHARTS, ROOT, readme, values_of

LIBRARY = ROOT / "charts" / "proxyless"
EXAMPLES = sorted(each.parent for each in ROOT.glob("charts/examples/*/Chart.yaml"))


def names(chart: Path) -> str:
    return str(chart.relative_to(ROOT / "charts"))


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def schema(chart: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    return found


def merged(below: Any, above: Any) -> Any:
    """As helm merges values: maps by key, null takes a key away, everything else is replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    both = {key: merged(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}}
    return {key: value for key, value in both.items() if value is not None}


def leaves(values: Any, above: str = "") -> Iterator[str]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from leaves(value, f"{above}{key}.")
    else:
        yield above.removesuffix(".")


@pytest.mark.parametrize("chart", CHARTS, ids=names)
def test_every_value_is_described_and_the_readme_says_the_same(chart: Path) -> None:
    assert readme(chart) == (chart / "README.md").read_text(encoding="utf-8"), "python -m tools.charts"
    described = [each.path for each in values_of(chart)]
    for leaf in leaves(load(chart / "values.yaml")):
        assert any(leaf == each or leaf.startswith(f"{each}.") for each in described), leaf


@pytest.mark.parametrize("chart", CHARTS, ids=names)
def test_the_schema_is_one_and_knows_every_value_and_no_other(chart: Path) -> None:
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema(chart))
    # What helm puts there: what all charts of a release see, and the condition of a chart that has this one below it.
    assert load(chart / "values.yaml").keys() == schema(chart)["properties"].keys() - {"global", "enabled"}


@pytest.mark.parametrize("chart", [*CHARTS, *EXAMPLES], ids=names)
def test_values_for_ci_fit(chart: Path) -> None:
    defaults = load(chart / "values.yaml")
    files = sorted((chart / "ci").glob("*-values.yaml"))
    assert files, "ci/*-values.yaml"
    for path in [None, *files]:
        values = merged(defaults, load(path)) if path else defaults
        if (chart / "values.schema.json").exists():
            jsonschema.validate(values, schema(chart))
        for each in dependencies(chart):
            below = chart / "charts" / each["name"]
            jsonschema.validate(merged(load(below / "values.yaml"), values.get(each["name"], {})), schema(below))


def dependencies(chart: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = load(chart / "Chart.yaml").get("dependencies", [])
    return found


@pytest.mark.parametrize("chart", [*CHARTS, *EXAMPLES], ids=names)
def test_dependencies_lie_beside_the_chart_and_are_linked_in(chart: Path) -> None:
    for each in dependencies(chart):
        link = chart / "charts" / each["name"]
        assert link.is_symlink()
        assert link.resolve() == (chart / each["repository"].removeprefix("file://")).resolve()
        assert load(link / "Chart.yaml")["version"] == each["version"]


@pytest.mark.parametrize("chart", [*CHARTS, *EXAMPLES], ids=names)
def test_charts_have_the_version_of_the_package(chart: Path) -> None:
    package = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    about = load(chart / "Chart.yaml")
    assert f'version = "{about["appVersion"]}"' in package
    assert about["kubeVersion"] == ">=1.30.0-0"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"port": 0}, "0 is less than the minimum of 1"),
        ({"prot": 1}, "'prot' was unexpected"),
        ({"controlPlane": {"address": "istiod"}}, "'istiod' does not match"),
        ({"identity": False, "mtls": {"serve": True}}, "False was expected"),
        ({"probes": {"readiness": {"http": {}}}}, "'http' was unexpected"),
    ],
)
def test_values_that_make_no_sense_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=said):
        jsonschema.validate(merged(load(LIBRARY / "values.yaml"), changed), schema(LIBRARY))


def test_a_value_without_a_comment_is_told(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("# -- Known.\na: 1\nb:\n  # -- Known,\n  # too.\n  c: [1, 2]\n  d: x\n")
    with pytest.raises(ValueError, match=r"b\.d \(line 7\)"):
        values_of(tmp_path)
    (tmp_path / "values.yaml").write_text("# -- Known.\na: 1\nb:\n  # -- Known,\n  # too.\n  c: [1, 2]\n")
    assert [str(each) for each in values_of(tmp_path)] == [
        "| `a` | `1` | Known. |",
        "| `b.c` | `[1, 2]` | Known, too. |",
    ]
