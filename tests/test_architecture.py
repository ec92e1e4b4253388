"""The plan of the house (docs/architecture.md), held against the code."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

# Name on PyPI by the name it is imported under, where they differ.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cc3d": "connected-components-3d",
    "lightning_fabric": "lightning-fabric",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}


def imported_packages(source: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"crgan"}


def normal(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_what_is_imported_is_declared_and_what_is_declared_is_imported(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {normal(requirement) for requirement in project["dependencies"]}
    extras = [project["optional-dependencies"][extra] for extra in ("tracking", "dicom", "cluster")]
    optional = {normal(requirement) for extra in extras for requirement in extra}
    imported = {DISTRIBUTIONS.get(name, name) for file in (repository / "src").rglob("*.py") for name in imported_packages(file)}
    imported = {normal(name) for name in imported}
    assert imported - optional == declared


def test_constraints_pin_every_declared_dependency_without_addresses(repository: Path) -> None:
    lines = [line for line in (repository / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["test"], *project["optional-dependencies"]["dev"]}
    assert {normal(requirement) for requirement in wanted} - {"crgan"} <= {line.split("==")[0] for line in lines}


def test_layers_below_torch_do_not_import_it_at_module_level(repository: Path) -> None:
    rooms = {"networks", "training", "sequences", "sweep", "inference", "model.py", "weights.py", "machine.py"}
    source = repository / "src" / "crgan"
    guilty = []
    for file in sorted(source.rglob("*.py")):
        if file.relative_to(source).parts[0] in rooms:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
        if any(name.split(".")[0] in {"torch", "lightning_fabric"} for name in names):
            guilty.append(file.name)
    assert not guilty


# A room may import from the rooms before it, and from nothing after it.
ORDER = [
    *("errors", "files", "arrays", "interruption", "progress", "conformal", "dial", "executors"),
    *("machine", "report", "cases", "preprocessing", "evaluation", "config", "planning"),
    *("sequences", "networks", "sweep", "weights", "model", "ensemble", "training", "inference", "study"),
    *("console", "demo", "cli"),
]
# What would be allowed by that, and is not wanted.
MUST_NOT_KNOW = {
    **{room: {"machine"} for room in ("report", "evaluation", "config", "planning")},
    "cases": {"machine", "report"},
    "preprocessing": {"machine", "report"},
    "sequences": {"report", "evaluation"},
    "networks": {"report", "cases", "evaluation", "preprocessing", "sequences"},
    "console": {"report", "cases", "evaluation", "preprocessing", "config", "training", "inference"},
}


def rooms_imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return {module.split(".")[1] for module in modules if module.startswith("crgan.")}


def test_every_room_has_its_place(repository: Path) -> None:
    rooms = {path.stem for path in (repository / "src" / "crgan").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_data_moves_one_way(repository: Path, room: str) -> None:
    source = repository / "src" / "crgan"
    allowed = {*ORDER[: ORDER.index(room) + 1]} - MUST_NOT_KNOW.get(room, set())
    for file in [source / f"{room}.py", *(source / room).rglob("*.py")]:
        if file.exists():
            assert rooms_imported(file) <= allowed, file.relative_to(source)
