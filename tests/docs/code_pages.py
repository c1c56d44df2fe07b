"""Puts programs into pages: a link to a file of examples/ with a block of Python behind it is that file's text.

``python -m tests.docs.code_pages`` writes the blocks anew; a test keeps them equal.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "guide.md", ROOT / "docs" / "from-exabgp.md")
_BLOCK = re.compile(r"(\[`(examples/[a-z_/]+\.py)`\]\([^)]+\)[^\n]*\n\n```python\n)(.*?)(```\n)", re.DOTALL)


def filled(page: str) -> str:
    """Return a page with every block as its file has it now."""
    return _BLOCK.sub(lambda found: found[1] + (ROOT / found[2]).read_text(encoding="utf-8") + found[4], page)


def included(page: str) -> list[str]:
    """Return the files whose text stands in a page."""
    return [found[2] for found in _BLOCK.finditer(page)]


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
