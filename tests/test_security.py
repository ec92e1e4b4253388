"""What must not appear in the source (SECURITY.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# Modules that turn bytes into objects or code.
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# Calls that run what they are given, or unpickle it.
CALLS = {"eval", "exec", "compile", "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen"}
ARRAYS = {"np.load", "numpy.load", "np.loads", "np.fromfile"}


def name_of(function: ast.expr) -> str:
    return ast.unparse(function) if isinstance(function, ast.Name | ast.Attribute) else ""


def breaches(source: str) -> Iterator[str]:
    """Everything in a file that breaks a rule."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            name, keywords = name_of(node.func), {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if (
                name in CALLS
                or (name in ARRAYS and keywords.get("allow_pickle") != "False")
                or keywords.get("shell") == "True"
                or keywords.get("weights_only") == "False"
                or keywords.get("autoescape") == "False"
                or (name.endswith(".extractall") and keywords.get("filter") != "'data'")
            ):
                yield ast.unparse(node)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load(path)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "archive.extractall(folder)",
        "Environment(autoescape=False)",
    ],
)
def test_every_rule_notices_its_breach(source: str) -> None:
    assert list(breaches(source))


@pytest.mark.parametrize(
    "source",
    [
        "np.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "model.eval()",
        "re.compile(text)",
        "archive.extractall(folder, filter='data')",
    ],
)
def test_what_is_harmless_passes(source: str) -> None:
    assert not list(breaches(source))


def test_the_source_keeps_the_rules(repository: Path) -> None:
    files = [*(repository / "src").rglob("*.py"), *(repository / "benchmarks").rglob("*.py")]
    assert len(files) > 50
    found = {file.name: list(breaches(file.read_text(encoding="utf-8"))) for file in files}
    assert not {name: parts for name, parts in found.items() if parts}


def test_compromised_releases_are_excluded(repository: Path) -> None:
    project = (repository / "pyproject.toml").read_text(encoding="utf-8")
    assert "!=2.6.2,!=2.6.3" in project
    constraints = (repository / "constraints.txt").read_text(encoding="utf-8")
    assert not any(
        f"lightning-fabric=={version}" in constraints or f"lightning=={version}" in constraints for version in ("2.6.2", "2.6.3")
    )
