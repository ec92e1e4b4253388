from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import crgan

HEAVY = {"torch", "numpy", "scipy", "matplotlib", "SimpleITK", "nibabel", "skimage", "pydantic", "rich", "lightning_fabric"}


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", crgan.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(crgan, name).__doc__


def test_public_names_are_sorted_and_shown_by_dir() -> None:
    assert sorted(crgan.__all__) == crgan.__all__
    assert set(crgan.__all__) <= set(dir(crgan))


def test_an_unknown_name_is_an_attribute_error_that_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="no attribute 'segment'; it has Case, "):
        crgan.segment  # noqa: B018
    assert not hasattr(crgan, "segment")


def test_type_checkers_and_python_see_the_same_names() -> None:
    tree = ast.parse(Path(crgan.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in guarded.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == crgan._HOMES
    assert list(crgan._HOMES) == crgan.__all__


def test_version_is_the_installed_one() -> None:
    assert crgan.__version__ == importlib.metadata.version("crgan")


def test_importing_crgan_loads_nothing_heavy() -> None:
    loaded = set(run_python("import sys, crgan, crgan.cli; print(*{name.split('.')[0] for name in sys.modules})").split())
    assert not loaded & HEAVY


def test_prediction_loads_scipy_only_where_it_needs_it() -> None:
    loaded = run_python("import sys, crgan.inference.predict; print(*sys.modules)").split()
    assert not {"scipy.ndimage", "scipy.spatial", "scipy.special", "scipy.optimize"} & {*loaded}


def test_importing_crgan_is_quick() -> None:
    code = "import time; begun = time.process_time(); import crgan; print(time.process_time() - begun)"
    assert min(float(run_python(code)) for _ in range(3)) < 1.0
