"""The programs in the pages are the programs that the tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.code_pages import PAGES, ROOT, filled, included

TESTED = (ROOT / "tests" / "examples" / "test_recipes.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_are_the_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert included(text)
    assert text == filled(text), "run: python -m tests.docs.code_pages"


def test_every_recipe_is_in_a_page_and_in_a_test() -> None:
    shown = [name for page in PAGES for name in included(page.read_text(encoding="utf-8"))]
    recipes = [str(path.relative_to(ROOT)) for path in (ROOT / "examples" / "recipes").glob("*.py")]
    assert sorted(shown) == sorted(recipes)
    assert len(included(PAGES[0].read_text(encoding="utf-8"))) == 10
    assert all(f'"{Path(name).name}"' in TESTED for name in shown)


def test_a_stale_block_is_seen() -> None:
    page = PAGES[0].read_text(encoding="utf-8")
    assert filled(page.replace("import argparse", "import nothing", 1)) == page
