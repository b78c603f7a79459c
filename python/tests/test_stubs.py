"""The stubs, the types and the documentation are in step with the module."""

import ast
import importlib.util
import inspect
import pkgutil
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


def test_types(tmp_path: Path) -> None:
    """mypy --strict accepts the package and its stubs; tdds.torch only where torch is."""
    pytest.importorskip("mypy")
    names = [module.name for module in pkgutil.iter_modules([str(PACKAGE)])]
    checked = [f"tdds.{name}" for name in names if name != "torch" or importlib.util.find_spec("torch")]
    config = Path(__file__).parents[2] / "pyproject.toml"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(config), "-m", "tdds"]
    for module in checked:
        command += ["-m", module]
    # Not from the folder of the packages: mypy would take those for the program's own modules.
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
