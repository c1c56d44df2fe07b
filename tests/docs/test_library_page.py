"""Every public name is documented, annotated, and on the page."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

import pybgp
import pybgp.simulator
import pybgp.testing
from tests.docs.library_page import PAGE, PARTS, VALUES, page

MODULES = (pybgp, pybgp.testing, pybgp.simulator)
NAMES = [(module, name) for module in MODULES for name in module.__all__]


def functions(module: ModuleType, name: str) -> Iterator[tuple[str, object]]:
    """The functions of a name: itself, or the methods and properties of a class that is written in pybgp."""
    thing = getattr(module, name)
    if inspect.isfunction(thing):
        yield name, thing
    elif inspect.isclass(thing):
        for owner in thing.__mro__:
            if owner.__module__.startswith("pybgp"):
                for key, member in vars(owner).items():
                    function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                    is_written = inspect.isfunction(function) and function.__module__.startswith("pybgp")
                    if is_written and (not key.startswith("_") or key == "__init__"):
                        yield f"{name}.{key}", function


def test_the_page_is_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.docs.library_page"


def test_every_name_stands_on_the_page_once() -> None:
    listed = [name for names in PARTS.values() for name in names.split()]
    assert len(set(listed)) == len(listed)
    assert set(listed) <= set(pybgp.__all__)
    assert [f"{module.__name__}.{name}" for module, name in NAMES if f"`{name}" not in page()] == []


@pytest.mark.parametrize(("module", "name"), NAMES, ids=lambda item: getattr(item, "__name__", item))
def test_a_public_name_is_documented_and_annotated(module: ModuleType, name: str) -> None:
    thing = getattr(module, name)
    if name not in VALUES:
        assert inspect.getdoc(thing), f"{name} has no docstring"
        assert vars(thing).get("__doc__") if inspect.isclass(thing) else True, f"{name} inherits its docstring"
    for where, function in functions(module, name):
        signature = inspect.signature(function)  # type: ignore[arg-type]
        named = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
        missing = [one.name for one in named if one.annotation is one.empty]
        assert not missing, f"{where}: {missing}"
        if not where.endswith(".__init__"):
            assert signature.return_annotation is not signature.empty, where
            assert inspect.getdoc(function), f"{where} has no docstring"


def test_values_are_immutable() -> None:
    """Every dataclass and named tuple among the public names, but for the three hot ones."""
    mutable = []
    for module, name in NAMES:
        thing = getattr(module, name)
        if inspect.isclass(thing) and hasattr(thing, "__dataclass_fields__") and not thing.__dataclass_params__.frozen:
            mutable.append(name)
    assert mutable == ["Update"]
