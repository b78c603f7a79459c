"""export_npy, train, sweep and tdds.tensorboard, by the programs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import tdds

TINY = {"dataset": "shapes", "shapes_train": 200, "shapes_test": 50, "width": 0.03125, "arch": "resnet18",
        "batch_size": 50, "learning_rate": 0.05, "device": "cpu"}  # fmt: skip


class Images:
    """Images of four classes, each of another colour."""

    def __init__(self, size: int, convert: object = lambda pixels: pixels) -> None:
        self.size, self.convert = size, convert

    def __len__(self) -> int:
        return self.size

    def pixels(self, i: int) -> np.ndarray:
        pixels = np.random.default_rng(i).integers(0, 60, (32, 32, 3)).astype(np.uint8)
        pixels[:, :, i % 4 % 3] += np.uint8(100 + 40 * (i % 4 // 3))
        return pixels

    def __getitem__(self, i: int) -> tuple[object, int]:
        return self.convert(self.pixels(i)), i % 4


def test_exported_files_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Images(80)
    assert tdds.export_npy(data, tmp_path / "data") == 80
    assert capsys.readouterr().err.rstrip().endswith("[########################] 80/80")
    tdds.export_npy(Images(20), tmp_path / "data", "test", progress=False)
    assert sorted(os.listdir(tmp_path / "data")) == [
        f"{split}_{what}.npy" for split in ("test", "train") for what in ("images", "labels")
    ]
    images = np.load(tmp_path / "data" / "train_images.npy")
    np.testing.assert_array_equal(images, [data.pixels(i) for i in range(80)])
    assert images.dtype == np.uint8
    flags = TINY | {"dataset": "npy", "data_path": tmp_path / "data", "save_path": tmp_path / "run"}
    run = tdds.train(**flags, epochs=2, dynamics=True, progress=False)
    assert len(run.metrics) == 2 and run.result["last_test_accuracy"] == run.metrics[-1]["test_accuracy"]
    recorded = tdds.read_dynamics(tmp_path / "run")
    assert recorded.dataset == "npy" and recorded.labels is not None
    np.testing.assert_array_equal(recorded.labels, np.arange(80) % 4)
    assert capsys.readouterr().err == ""


def test_exported_forms(tmp_path: Path) -> None:
    whole = np.stack([Images(3).pixels(i) for i in range(3)])
    forms = {
        "float": (lambda p: p / np.float32(255), whole),
        "double": (lambda p: p / 255, whole),
        "grey": (lambda p: p[:, :, 0], whole[..., 0]),
        "one": (lambda p: p[:, :, :1], whole[..., 0]),
    }
    for name, (convert, expected) in forms.items():
        tdds.export_npy(Images(3, convert), tmp_path / name, progress=False)
        np.testing.assert_array_equal(np.load(tmp_path / name / "train_images.npy"), expected)
    bad = {
        r"has the shape \[32, 32, 2\]": lambda p: p[:, :, :2],
        "has values outside 0 .. 1": lambda p: p / 100.0,
        "is of int64": lambda p: p.astype(np.int64),
        r"image 1 is \[16, 32, 3\], but the first one is": lambda p: p[:: 2 if p[0, 0, 1] > 90 else 1],
    }
    for message, convert in bad.items():
        with pytest.raises(tdds.UsageError, match=message):
            tdds.export_npy(Images(3, convert), tmp_path / "bad", progress=False)
        assert os.listdir(tmp_path / "bad") == []
    with pytest.raises(tdds.UsageError, match="is empty"):
        tdds.export_npy(Images(0), tmp_path / "bad")
    with pytest.raises(tdds.UsageError, match="`split` is 'all'"):
        tdds.export_npy(Images(3), tmp_path / "bad", "all")


def test_exported_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    whole = np.stack([Images(3).pixels(i) for i in range(3)])
    forms = {
        "uint8": lambda p: torch.from_numpy(p).permute(2, 0, 1),
        "float": lambda p: torch.from_numpy(p).permute(2, 0, 1) / 255,
    }
    for name, convert in forms.items():
        tdds.export_npy(Images(3, convert), tmp_path / name, progress=False)
        np.testing.assert_array_equal(np.load(tmp_path / name / "train_images.npy"), whole)


def test_train_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tdds.train(**TINY, save_path=tmp_path / "a", epochs=3, dynamics=True)
    shown = capsys.readouterr().err
    assert "tdds-train [########################] 3/3 epoch 2 test accuracy" in shown
    assert [line["epoch"] for line in run.metrics] == [0, 1, 2]
    assert run.result["last_test_accuracy"] == run.metrics[-1]["test_accuracy"]
    assert tdds.read_dynamics(tmp_path / "a").epochs == 3

    again = tdds.train(**TINY, save_path=tmp_path / "a", epochs=2, overwrite=True, wait=False)
    assert [line["epoch"] for line in again] == [0, 1]  # not the lines of the run that is replaced
    assert all(line["folder"] == str(tmp_path / "a") for line in again.metrics)


def test_interrupt_saves(tmp_path: Path) -> None:
    """The program itself ignores SIGINT here, as everything that a shell starts in the background."""
    flags = TINY | {"save_path": tmp_path, "epochs": 100_000, "wait": False}
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run = tdds.train(**flags)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        metrics = tmp_path / "metrics.jsonl"
        while not metrics.exists() or metrics.stat().st_size == 0:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with run, pytest.raises(KeyboardInterrupt):
            run.wait(progress=False)
    finally:
        signal.signal(signal.SIGINT, before)
    with tdds.train(save_path=tmp_path, resume=True, wait=False) as run:
        first = next(iter(run))["epoch"]
    kept = [json.loads(line)["epoch"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert first > 0 and kept == list(range(len(kept))) and len(kept) > first
    assert run._process.returncode == 128 + signal.SIGTERM


def test_refusals_of_programs(tmp_path: Path) -> None:
    with pytest.raises(tdds.UsageError, match="there is no flag --epoch: did you mean --epochs?"):
        tdds.train(epoch=3, save_path=tmp_path / "a")
    with pytest.raises(tdds.Error, match="absent.*"):
        tdds.train(dataset="npy", data_path=tmp_path / "absent", save_path=tmp_path / "a", progress=False)
    run = tdds.train(epochs="many", save_path=tmp_path / "a", wait=False)
    with pytest.raises(tdds.UsageError, match="epochs"):
        list(run)
    with pytest.raises(tdds.Error, match="result.json does not exist"):
        _ = run.result


def test_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = TINY | {"methods": ["tdds", "random"], "rates": [0.5], "seeds": (1,), "epochs": 4}
    run = tdds.sweep(**flags, trajectory_len=4, window_size=3, save_path=tmp_path)
    places = {os.path.relpath(line["folder"], tmp_path) for line in run.metrics}
    assert {"seed1/all", "seed1/tdds_0.5", "seed1/random_0.5"} == places and len(run.metrics) == 12
    assert {row["method"] for row in run.result["runs"]} >= {"tdds", "random"}
    last = run.metrics[-1]
    shown = capsys.readouterr().err.rstrip().rsplit("\r", 1)[-1]
    place = os.path.relpath(last["folder"], tmp_path)
    assert shown == f"tdds-sweep: {place} epoch 3 test accuracy {100 * last['test_accuracy']:.2f} %"

    def module(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tdds.tensorboard", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert "RUN is the folder" in module().stderr
    assert "there is no metrics.jsonl in" in module(tmp_path / "absent").stderr
    done = module(tmp_path)
    try:
        import tensorboard  # noqa: F401
    except ModuleNotFoundError:
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "tensorboard is not installed; run `pip install tensorboard`" in done.stderr
        return
    assert done.returncode == 0 and done.stdout.count("4 epochs") == 3, done.stderr
    module(tmp_path)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "seed1" / "all" / "tensorboard"))
    events.Reload()
    lines = [line for line in run.metrics if line["folder"].endswith("all")]
    accuracies = events.Scalars("test_accuracy")
    assert [event.step for event in accuracies] == [0, 1, 2, 3]
    np.testing.assert_allclose([e.value for e in accuracies], [line["test_accuracy"] for line in lines], 1e-6)
    assert time.time() - 600 < accuracies[0].wall_time < accuracies[3].wall_time <= time.time()
