"""Line numbers of TOML keys, against traps."""

from __future__ import annotations

from calico_routing.configuration.lines import key_lines, line_of

TRAPS = '''\
top = 1
[a.b]   # [not.a.table]
first = """
second = 2
[c]
"""
third = [ "x = 1",
  "[d]", [1,
  2], ]
"quoted" = 'it # is'  # fourth = 4
fifth.sixth = { x = 1, y = "}" }
[[list]]
key = 1
[[list]]
key = 2
[list.sub]
key = 3
'''


def test_traps() -> None:
    lines = key_lines(TRAPS)
    assert lines == {
        ("top",): 1,
        ("a", "b"): 2,
        ("a", "b", "first"): 3,
        ("a", "b", "third"): 7,
        ("a", "b", "quoted"): 10,
        ("a", "b", "fifth"): 11,
        ("a", "b", "fifth", "sixth"): 11,
        ("list", 0): 12,
        ("list", 0, "key"): 13,
        ("list", 1): 14,
        ("list", 1, "key"): 15,
        ("list", 1, "sub"): 16,
        ("list", 1, "sub", "key"): 17,
    }


def test_the_nearest_table_stands_in_for_what_has_no_line() -> None:
    lines = key_lines(TRAPS)
    assert line_of(lines, ("list", 1, "none")) == 14
    assert line_of(lines, ("nowhere", "at", "all")) == 1


def test_quoted_keys_and_tables_around_others_have_lines_too() -> None:
    lines = key_lines("[polcy.p]\n[policy.'a.b']\n[[policy.\"\\u00fc x\".clause]]\n'10.0.0.1' = '[x]'\n")
    assert line_of(lines, ("polcy",)) == 1
    assert line_of(lines, ("policy",)) == 2
    assert line_of(lines, ("policy", "a.b")) == 2
    assert line_of(lines, ("policy", "\u00fc x", "clause", 0, "then")) == 3
    assert line_of(lines, ("policy", "\u00fc x", "clause", 0, "10.0.0.1")) == 4
