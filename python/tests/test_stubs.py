"""The stubs, the types and the documentation are in step with the module."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tdds
from tdds import _tdds

PACKAGE = Path(tdds.__file__).parent


def test_stub_is_that_of_the_module() -> None:
    stubgen = pytest.importorskip("nanobind.stubgen")
    generator = stubgen.StubGen(_tdds)
    generator.put(_tdds)
    assert (PACKAGE / "_tdds.pyi").read_text() == generator.get(), "build the target tdds_python"


def test_module_is_called_as_the_stub_says() -> None:
    """Every attribute of _tdds that the package uses is in the stub."""
    stub = ast.parse((PACKAGE / "_tdds.pyi").read_text())
    known = {node.name for node in ast.walk(stub) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "_tdds"
            ):
                assert node.attr in known, f"{path.name}: _tdds.{node.attr}"
    assert (PACKAGE / "py.typed").exists()


def test_everything_public_is_documented() -> None:
    for name in tdds.__all__:
        item = getattr(tdds, name)
        assert item.__doc__, name
        if not inspect.isfunction(item):
            continue
        for parameter in inspect.signature(item).parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD or name in ("read_dynamics", "sweep"):
                continue
            assert f"{parameter.name}:" in item.__doc__ or f"{parameter.name}," in item.__doc__, (
                name,
                parameter,
            )
        assert "Raises" in item.__doc__ or name in ("methods", "sweep"), name


def test_types() -> None:
    """mypy --strict accepts the package, with the stubs that were installed."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file",
               str(Path(__file__).parents[2] / "pyproject.toml"), "-p", "tdds"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stdout + done.stderr
