"""Generated policies: Envoy's RBAC filter and ours let the same requests in, and say the same of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.differential.generated.authorizing import NORMALIZATIONS, Case, Identities, by_envoy, by_us, marked
from tests.differential.generated.policies import PORTS, Asked, Drawing, Json
from tests.support import envoy

pytestmark = pytest.mark.envoy

SEED = 20_261_127
CASES = 250
EACH = 10

KINDS = {
    **{
        f"permission {each}": 20
        for each in (
            *("any", "header", "url_path", "uri_template", "destination_ip", "destination_port"),
            *("destination_port_range", "requested_server_name", "metadata", "sourced_metadata"),
            *("and_rules", "or_rules", "not_rule"),
        )
    },
    **{
        f"principal {each}": 20
        for each in (
            *("any", "header", "url_path", "authenticated", "custom", "source_ip", "direct_remote_ip", "remote_ip"),
            *("metadata", "sourced_metadata", "filter_state", "and_ids", "or_ids", "not_id"),
        )
    },
    **{f"string {each}": 20 for each in ("exact", "prefix", "suffix", "contains", "safe_regex", "ignore_case")},
    **{f"header {each}": 20 for each in ("string_match", "present_match", "range_match", "exact_match")},
    **{
        f"value {each}": 20
        for each in (
            *("string_match", "present_match", "bool_match", "double_match", "null_match", "list_match", "or_match"),
        )
    },
    **{f"action {each}": 20 for each in ("ALLOW", "DENY", "LOG")},
    "name": 20,
}
"""How often each kind of condition has to be drawn."""


def compared(cases: list[Case], folder: Path) -> Counter[int]:
    """Both decide alike; how often each status was seen."""
    identities = Identities(folder)
    theirs, ours = by_envoy(cases, identities), by_us(cases, identities)
    wrong = [
        f"{mark} {asked}\n  {cases[number].rbac}\n  Envoy {theirs[mark]}\n  ours  {ours[mark]}"
        for mark, number, asked in marked(cases)
        if theirs[mark] != ours[mark]
    ]
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong[:8])
    return Counter(each.status for each in theirs.values())


@pytest.mark.timeout(400)
def test_generated_policies_let_the_same_requests_in(tmp_path: Path) -> None:
    envoy.require()
    drawing = Drawing(SEED)
    names = ("", "", "-", "frontend", "cart", "ledger", "front-end", "web", "wild", "both")
    cases = []
    for number in range(CASES):
        port = PORTS[number % len(PORTS)]
        cases.append(Case(port, drawing.filter(), tuple(drawing.asked(port, names) for _ in range(EACH))))
    statuses = compared(cases, tmp_path)
    decided = statuses[200] + statuses[403]
    assert decided >= 2000
    assert 0.2 <= statuses[200] / decided <= 0.8
    assert not {kind: drawing.kinds[kind] for kind, least in KINDS.items() if drawing.kinds[kind] < least}


TRICKS = [
    *(
        b"/admin",
        b"//admin",
        b"/./admin",
        b"/../admin",
        b"/a/../admin",
        b"/a/..//admin",
        b"/.admin",
        b"/admin.",
        b"/admin..",
    ),
    *(b"/admin/", b"/admin//", b"/admin/.", b"/admin/..", b"/admin/../", b"/x/../../admin", b"/...", b"/.../admin"),
    *(b"/%2e/admin", b"/%2E%2e/admin", b"/a/%2e%2e/admin", b"/a/.%2e/admin", b"/a%2f..%2fadmin", b"/a/%2e%2e%2fadmin"),
    *(
        b"/%2fadmin",
        b"/%2Fadmin",
        b"/a%2fadmin",
        b"/%5cadmin",
        b"/%5Cadmin",
        b"/a%5c..%5cadmin",
        b"/\\admin",
        b"/a\\..\\admin",
    ),
    *(b"/admin;x", b"/admin;x=1/y", b"/;/admin", b"/a;/../admin", b"/a/..;/admin", b"/a/.;/admin", b"/a/%2e;x/admin"),
    *(
        b"/ADMIN",
        b"/Admin",
        b"/%61dmin",
        b"/%41dmin",
        b"/admi%6e",
        b"/admin%20",
        b"/admin%09",
        b"/admin%00",
        b"/admin%",
    ),
    *(
        b"/admin%2",
        b"/admin%zz",
        b"/%25admin",
        b"/%2561dmin",
        b"/%252e%252e/admin",
        b"/admin?x",
        b"/admin?/../b",
        b"/a?/admin",
    ),
    *(
        b"/admin#x",
        b"/admin%23x",
        b"/admin%3fx",
        b"/a///admin",
        b"/a////..//admin",
        b"///",
        b"//",
        b"/",
        b"/a/b/../../admin",
    ),
    *(
        b"/admin\xff",
        b"/\xc3\xa9",
        b"/\xff\xfe/admin",
        b"/admin\x7f",
        b"/%ff",
        b"/%c3%a9",
        b"/%C3%A9/admin",
        b"/a|b",
        b"/<admin>",
    ),
    *(
        b"/admin/%2e%2e/b",
        b"/b/%2e%2e/%61dmin",
        b"/{admin}",
        b"/admin^",
        b"/admin`",
        b'/"admin"',
        b"/[admin]",
        b"/admin!$&'()*+,=",
    ),
    *(
        b"/admin:80",
        b"/@admin",
        b"/~admin",
        b"/a/b/c/../../../../admin",
        b"/admin/./././x",
        b"/admin/%2E",
        b"/a/%2F/admin",
    ),
]
"""Paths that somebody might get past a policy with."""


def policies(*paths: Json) -> Json:
    """One policy for each, in this order."""
    return {
        f"{number}": {"permissions": [{"url_path": {"path": each}}], "principals": [{"any": True}]}
        for number, each in enumerate(paths)
    }


ABOUT_PATHS: list[Json] = [
    {
        "rules": {
            "action": "DENY",
            "policies": policies({"exact": "/admin"}, {"prefix": "/admin"}, {"suffix": "/admin"}),
        }
    },
    {
        "rules": {"action": "ALLOW", "policies": policies({"safe_regex": {"regex": "/[a-z]+"}}, {"contains": "admin"})},
        "shadow_rules": {
            "action": "DENY",
            "policies": policies({"exact": "/ADMIN", "ignore_case": True}, {"prefix": "/a/"}, {"suffix": "."}),
        },
    },
    {
        "rules": {
            "action": "LOG",
            "policies": {
                "glob": {
                    "permissions": [
                        {
                            "uri_template": {
                                "name": "t",
                                "typed_config": {
                                    "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3."
                                    "UriTemplateMatchConfig",
                                    "path_template": each,
                                },
                            }
                        }
                        for each in ("/admin/*", "/*")
                    ],
                    "principals": [{"any": True}],
                }
            },
        },
        "shadow_rules": {"policies": policies({"safe_regex": {"regex": ".*"}})},
    },
]


@pytest.mark.timeout(300)
def test_nobody_gets_past_a_policy_by_how_a_path_is_spelled(tmp_path: Path) -> None:
    envoy.require()
    cases = [
        Case(
            port,
            rbac,
            tuple(
                Asked("GET", path, (("host", "shop"),), "127.0.10.1", "127.0.14.1", port, "", "", None)
                for path in TRICKS
            ),
        )
        for port in NORMALIZATIONS
        for rbac in ABOUT_PATHS
    ]
    statuses = compared(cases, tmp_path)
    assert statuses.keys() >= {200, 400, 403}
