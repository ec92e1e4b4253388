"""What the documentation tells people to type exists, and what it points to is there."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command

import crgan
from crgan.cases.layouts import LAYOUTS
from crgan.cli import app
from crgan.config import Config, load_config, recipes

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """Page name and text of every fenced block in ``language``."""
    return [
        (page.relative_to(ROOT).as_posix(), text)
        for page in PAGES
        for found, text in FENCE.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


def commands(program: str) -> list[str]:
    """Every command line of ``program`` in bash blocks and in inline code, comments removed."""
    lines = [line for _, text in blocks("bash") for part in text.splitlines() for line in part.split("&&")]
    for page in PAGES:
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        lines += re.findall(r"`((?:crgan|make) [^`\n]+)`", prose)
    words = [shlex.split(line, comments=True) for line in lines if line.strip() and "…" not in line]
    return sorted({shlex.join(line[1:]) for line in words if line and Path(line[0]).name == program and len(line) > 1})


@pytest.mark.parametrize("line", commands("crgan"))
def test_every_documented_command_line_is_understood(line: str) -> None:
    words = shlex.split(line)
    command = get_command(app)
    context = None
    while words and not words[0].startswith("-") and hasattr(command, "get_command"):
        context = command.make_context("crgan", [*words], parent=context)
        name, command, words = command.resolve_command(context, words)
        assert name is not None
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    options = [word for word in words if word.startswith("-")]
    assert set(options) <= known
    if options != words:  # with its arguments: it must be complete, and every value of the right kind
        command.make_context("crgan", words, parent=context)


@pytest.mark.parametrize("line", commands("make"))
def test_every_documented_make_target_is_there(line: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {word for word in shlex.split(line) if "=" not in word} <= targets


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python_in_the_documentation_calls_what_is_there(page: str, text: str) -> None:
    for node in ast.walk(ast.parse(text, filename=page)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("crgan."):
            target = crgan
            for name in ast.unparse(node.func).split(".")[1:]:
                target = getattr(target, name)
            inspect.signature(target).bind(*node.args, **{keyword.arg: keyword.value for keyword in node.keywords})


@pytest.mark.parametrize(("page", "text"), blocks("json"))
def test_json_in_the_documentation_is_json(page: str, text: str) -> None:
    assert json.loads(text), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


def test_the_rooms_of_the_architecture_page_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^\| `([a-z]+)/` \|", text.split("## What passes between rooms")[0], re.MULTILINE)
    assert set(rooms) == {path.parent.name for path in (ROOT / "src" / "crgan").glob("*/__init__.py")}
    for file in re.findall(r"`((?:[a-z]+/)*[a-z_]+\.py)`", text):
        assert (ROOT / "src" / "crgan" / file).exists() or (ROOT / file).exists() or (ROOT / "src" / file).exists(), file


def test_every_layout_has_a_page_and_a_line_in_the_index() -> None:
    index = (ROOT / "docs" / "layouts.md").read_text(encoding="utf-8")
    pages = re.findall(r"^\| \[`(\w+)`\]\(layouts/\1\.md\) \|", index, re.MULTILINE)
    assert pages == [layout.name for layout in LAYOUTS] + ["pattern"]  # in the order in which they are tried
    assert all(f"(layouts/{page.name})" in index for page in (ROOT / "docs" / "layouts").iterdir())


def test_version_and_licence_agree_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"] == crgan.__version__
    assert citation["license"] == project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def settings_of(model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    """Default by dotted name of every setting."""
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= settings_of(field.annotation, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = list(field.default) if isinstance(field.default, tuple) else field.default
    return found


def test_the_settings_page_lists_every_setting_with_its_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    listed = {
        name: yaml.safe_load(default)
        for names, default in re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", text, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", names)
    }
    assert listed == settings_of(Config)


@pytest.mark.parametrize("recipe", recipes())
def test_every_recipe_loads(recipe: str) -> None:
    assert load_config(recipe=recipe).recipe == recipe
