"""A recording by tdds-train, once for all tests. The programs are found on the PATH, where `pip install` puts
them."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

EPOCHS = 12


def run(*command: object) -> str:
    """Runs a program and returns its output."""
    program = shutil.which(str(command[0]))
    assert program, f"{command[0]} is not on the PATH; install the package"
    done = subprocess.run([program, *map(str, command[1:])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run: dynamics.tdds and the official files in npy/."""
    folder = tmp_path_factory.mktemp("trained")
    run("tdds-train", "--dataset", "shapes", "--shapes_train", 240, "--shapes_test", 60, "--width", 0.03125,
        "--arch", "resnet18", "--batch-size", 50, "--epochs", EPOCHS, "--learning_rate", 0.05, "--device",
        "cpu", "--dynamics", "--dynamics_npy", "--save_path", folder)  # fmt: skip
    return folder


def load(path: Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)
