"""Effects: for each field that the table of coverage calls honoured, a test that fails when its effect is removed.

A case says which field it is about, a configuration that sets it, and how to look at what is decided:

    effect(ROUTE + "RouteAction.prefix_rewrite", shop(action={"prefix_rewrite": "/new"}), explained("path"), "/new/a")

`tests/gates/test_effects.py` looks with the field, and again with the field cleared in every message of that type:
what is seen must differ, and be what the case expects where it says so. Where Envoy (and so proxyless) refuses the
configuration without the field, the difference proves nothing: such a case must say what it expects, or name another
configuration (`against`) in which the field says something else. What is looked at is a decision or a behaviour, never
what was decoded: a document of `explain`, a call driven from a script of answers, picks, a pool, what is asked of the
control plane, a refusal.

To register a field, add a case to a module of `cases/` (any new module there is found), and nothing else. A field that
is honoured and has no case yet may stand in `owed.txt` while its room is under way.

    resources.py   configurations as JSON with Envoy's names, small changes to one rich base; clearing a field
    scene.py       a configuration in force, with a fake clock and chosen draws
    seeing.py      ways to look at it
    registry.py    the cases, all together
"""
