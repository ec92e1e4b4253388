"""What must not appear in the source (SECURITY.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# Modules that turn bytes into objects or code.
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# Modules that have no place here: XML can be made to read other files or to fill the memory, the rest speaks to the network unasked.
MODULES |= {"xml", "lxml", "requests", "httpx", "ftplib", "telnetlib", "smtplib", "xmlrpc", "imp", "code", "codeop"}
# The one module that may open a connection, which checks where to; and the calls by which it does.
CONNECTS, CONNECTIONS = "src/crgan/cases/download/transfer.py", {"urlopen", "urlretrieve", "build_opener", "create_connection"}
# Calls that run what they are given, or unpickle it.
CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.save", "torch.jit.load", "torch.hub.load", "tempfile.mktemp"}
CALLS |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "os.system", "os.popen", "ssl._create_unverified_context"}
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
                or keywords.get("allow_pickle", "False") != "False"
                or keywords.get("shell") == "True"
                or keywords.get("verify") == "False"
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
        "np.save(path, array, allow_pickle=True)",
        "np.lib.format.read_array(file, allow_pickle=flag)",
        "from xml.etree import ElementTree",
        "import requests",
        "get(url, verify=False)",
        "tempfile.mktemp()",
        "torch.hub.load('somebody/something', 'model')",
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


def test_one_module_alone_opens_connections(repository: Path) -> None:
    found = {
        str(file.relative_to(repository))
        for file in (repository / "src").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and name_of(node.func).split(".")[-1] in CONNECTIONS
    }
    assert found == {CONNECTS}


def pins(text: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+==[^ \n]+)", text, re.MULTILINE))


def test_every_pin_but_that_of_pytorch_has_its_hashes(repository: Path) -> None:
    hashes = (repository / "requirements-hashes.txt").read_text(encoding="utf-8")
    pinned = pins((repository / "constraints.txt").read_text(encoding="utf-8"))
    assert pins(hashes) == {pin for pin in pinned if not pin.startswith("torch==")}
    entries = re.split(r"^(?=[a-z0-9-]+==)", hashes, flags=re.MULTILINE)[1:]
    assert all(re.fullmatch(r"[^ \n]+( \\\n {4}--hash=sha256:[0-9a-f]{64})+\n", entry) for entry in entries)


def test_compromised_releases_are_excluded(repository: Path) -> None:
    project = (repository / "pyproject.toml").read_text(encoding="utf-8")
    assert "!=2.6.2,!=2.6.3" in project
    constraints = (repository / "constraints.txt").read_text(encoding="utf-8")
    assert not any(
        f"lightning-fabric=={version}" in constraints or f"lightning=={version}" in constraints for version in ("2.6.2", "2.6.3")
    )
