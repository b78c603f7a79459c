"""The Recorder, compared with tdds-train's recording of the same logits and with numpy."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import EPOCHS, load

import tdds

N, K = 40, 7
UNLABELLED = ["kl", "true_kl", "entropy"]


def logits_of(epoch: int, scale: float = 4) -> np.ndarray:
    return np.random.default_rng(epoch).normal(scale=scale, size=(N, K)).astype(np.float32)


LABELS = np.random.default_rng(99).integers(0, K, N)
IDS = np.arange(N)


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z.astype(np.float64)
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def kl_of(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(kl, true_kl) in float64."""
    p, q = np.exp(log_softmax(now)), np.exp(log_softmax(before))
    terms = p * (np.log(p + 1e-8) - np.log(q + 1e-8))
    return np.abs(terms).sum(1), terms.sum(1)


def assert_same_bits(a: Path, b: Path, epochs: int) -> None:
    first, second = tdds.read_dynamics(a), tdds.read_dynamics(b)
    assert first.epochs == second.epochs == epochs and first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name].view(np.uint8), second[name].view(np.uint8), err_msg=name)


def test_records_the_bits_of_tdds_train(trained: Path, tmp_path: Path) -> None:
    reference = tdds.read_dynamics(trained)
    path = tmp_path / "dynamics.tdds"
    with tdds.Recorder(path, 240, 10, labels=reference.labels, fingerprint="shapes") as recorder:
        for epoch in range(EPOCHS):
            logits = load(trained / "npy" / f"{epoch}_Output.npy")
            ids = load(trained / "npy" / f"{epoch}_Index.npy")
            for begin in range(0, 240, 50):
                rows = slice(begin, begin + 50)
                recorder.update(ids[rows], logits[rows], epoch=epoch)
            assert not path.exists() or epoch > 0
            assert recorder.end_epoch() == 0
    assert_same_bits(path, trained / "dynamics.tdds", EPOCHS)
    recorded = tdds.read_dynamics(path)
    assert recorded.fingerprint == "shapes" and recorded.dataset == "tdds.Recorder"
    for method in ("tdds", "el2n", "dual"):
        np.testing.assert_array_equal(
            tdds.score(path, method, T=10, J=5), tdds.score(trained, method, T=10, J=5)
        )


@pytest.mark.parametrize("scale", [1, 4, 30])
def test_values_against_float64(tmp_path: Path, scale: float) -> None:
    path = tmp_path / "d.tdds"
    with tdds.Recorder(path, N, K, LABELS) as recorder:
        for epoch in range(4):
            order = np.random.default_rng(epoch).permutation(N)
            for part in np.array_split(order, 3):
                recorder.update(part, logits_of(epoch, scale)[part])
            recorder.end_epoch()
    run = tdds.read_dynamics(path)
    for epoch in range(1, 4):
        kl, true_kl = kl_of(logits_of(epoch - 1, scale), logits_of(epoch, scale))
        np.testing.assert_allclose(run["kl"][epoch], kl, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(run["true_kl"][epoch], true_kl, rtol=1e-5, atol=1e-5)
        log_p = log_softmax(logits_of(epoch, scale))
        p, one_hot = np.exp(log_p), np.eye(K)[LABELS]
        np.testing.assert_allclose(run["loss"][epoch], -log_p[IDS, LABELS], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(run["el2n"][epoch], np.linalg.norm(p - one_hot, axis=1), atol=1e-6)
        np.testing.assert_allclose(run["entropy"][epoch], -(p * log_p).sum(1), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(run["correct"][epoch], log_p.argmax(1) == LABELS)


class Bfloat16:
    """An array in bfloat16, as torch and JAX export it: DLPack's type is set in a capsule of numpy."""

    def __init__(self, values: np.ndarray) -> None:
        self.bits = (values.view(np.uint32) >> 16).astype(np.uint16)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **_: object) -> object:
        import ctypes

        capsule = self.bits.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        # DLTensor: void* data, int32 device[2], int32 ndim, then uint8 code: 4 is bfloat.
        ctypes.c_uint8.from_address(pointer(capsule, b"dltensor") + 20).value = 4
        return capsule


class OnGpu:
    """A tensor with the interface of torch's on a GPU."""

    def __init__(self, values: np.ndarray, device: int = 2) -> None:
        self.values, self.device = values, device

    def detach(self) -> "OnGpu":
        return OnGpu(self.values, self.device)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (self.device, 0)

    def __dlpack__(self, **_: object) -> object:
        raise AssertionError("a tensor on a GPU is copied to the host first")

    def cpu(self) -> np.ndarray:
        return self.values


def record(path: Path, batches: list, **arguments: object) -> tdds.Dynamics:
    """One epoch of the batches (ids, logits[, labels])."""
    with tdds.Recorder(path, N, K, **arguments) as recorder:
        for batch in batches:
            recorder.update(*batch)
        recorder.end_epoch()
    return tdds.read_dynamics(path)


def test_forms_of_input(tmp_path: Path) -> None:
    z = logits_of(0)
    half, brain = z.astype(np.float16), (z.view(np.uint32) & 0xFFFF0000).view(np.float32)
    wide = np.zeros((N, 2 * K), np.float32)
    wide[:, ::2] = z
    frozen = z.copy()
    frozen.flags.writeable = False
    forms = {
        "float16": (half, half.astype(np.float32)),
        "bfloat16": (Bfloat16(z), brain),
        "strided": (wide[:, ::2], z),
        "reversed": (z[::-1].copy()[::-1], z),
        "fortran": (np.asfortranarray(z), z),
        "read-only": (frozen, z),
        "buffer": (memoryview(z), z),
        "gpu": (OnGpu(z), z),
    }
    for name, (given, same) in forms.items():
        a = record(tmp_path / f"{name}.tdds", [(IDS, given)], labels=LABELS)
        b = record(tmp_path / f"{name}_again.tdds", [(IDS, same)], labels=LABELS)
        np.testing.assert_array_equal(a["loss"], b["loss"], err_msg=name)
    for kind in (np.int32, np.int16, np.uint8, np.int64):
        a = record(tmp_path / f"{kind.__name__}.tdds", [(IDS.astype(kind), z)], labels=LABELS.astype(kind))
        np.testing.assert_array_equal(a["loss"], b["loss"])
    a = record(tmp_path / "list.tdds", [(IDS.tolist(), z)], labels=LABELS.tolist())
    np.testing.assert_array_equal(a["loss"], b["loss"])


def test_batches_do_not_matter(tmp_path: Path) -> None:
    z, none = logits_of(0), np.zeros((0, K), np.float32)
    a = record(tmp_path / "a.tdds", [(IDS, z)], labels=LABELS)
    b = record(tmp_path / "b.tdds", [(IDS[:0], none), (IDS[5:], z[5:]), (IDS[:5], z[:5])], labels=LABELS)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_labels_at_construction_at_updates_or_never(tmp_path: Path) -> None:
    z = logits_of(0)
    a = record(tmp_path / "a.tdds", [(IDS, z)], labels=LABELS)
    b = record(tmp_path / "b.tdds", [(IDS[:9], z[:9], LABELS[:9]), (IDS[9:], z[9:], LABELS[9:])])
    c = record(tmp_path / "c.tdds", [(IDS, z)])
    assert a.keys() == b.keys() and list(c) == UNLABELLED and c.labels is None
    np.testing.assert_array_equal(b.labels, LABELS)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
        if name in c:
            np.testing.assert_array_equal(a[name], c[name])
    assert tdds.score(c.path, "entropy").shape == (N,)
    with pytest.raises(
        tdds.Error, match="el2n needs 'el2n', which .* recorded without labels: give `labels`"
    ):
        tdds.score(c.path, "el2n")
    for how in ("balanced", "ccs", "beta"):
        with pytest.raises(tdds.Error, match="labels"):
            tdds.select(np.zeros(N, np.float32), 0.5, how, source=c.path)


def test_missing_and_repeated_visits(tmp_path: Path) -> None:
    path = tmp_path / "d.tdds"
    with tdds.Recorder(path, N, K, LABELS) as recorder:
        recorder.update(IDS[1:], logits_of(0)[1:])
        assert recorder.end_epoch() == 1
        recorder.update(IDS[:-2], logits_of(1)[:-2])  # 0 for the first time, the last two not
        recorder.update([3, 4, 3], logits_of(5)[:3])
        assert recorder.end_epoch() == 2
        recorder.update(np.append(IDS, [7, 7]), np.append(logits_of(2), logits_of(6)[:2], axis=0))
        assert recorder.end_epoch() == 0
    run = tdds.read_dynamics(path)
    assert (run["kl"][0] == 0).all() and run["kl"][1][0] == 0
    assert run["loss"][0][0] == np.float32(np.log(K)) and run["correct"][0][0] == 0
    assert (run["kl"][1][-2:] == 0).all() and (run["true_kl"][1][-2:] == 0).all()
    for field in ("loss", "log_other", "entropy", "el2n", "correct"):
        np.testing.assert_array_equal(run[field][1][-2:], run[field][0][-2:])
    kl = kl_of(logits_of(0), logits_of(1))[0]
    np.testing.assert_allclose(run["kl"][1][1:-2], kl[1:-2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(run["kl"][2][:-2], kl_of(logits_of(1), logits_of(2))[0][:-2], 1e-5, 1e-5)
    np.testing.assert_allclose(run["kl"][2][-2:], kl_of(logits_of(0), logits_of(2))[0][-2:], 1e-5, 1e-5)


def test_carries_as_the_official_reader(tmp_path: Path) -> None:
    """The same incomplete visits, by the Recorder and as official files with missing="carry"."""
    (tmp_path / "npy").mkdir()
    with tdds.Recorder(tmp_path / "d.tdds", N, K) as recorder:
        for epoch in range(6):
            ids = np.random.default_rng(epoch).permutation(N)[: N - 3 if epoch else N]
            recorder.update(ids, logits_of(epoch)[ids])
            recorder.end_epoch()
            np.save(tmp_path / "npy" / f"{epoch}_Output.npy", logits_of(epoch)[ids])
            np.save(tmp_path / "npy" / f"{epoch}_Index.npy", ids)
    ours = tdds.score(tmp_path / "d.tdds", T=6, J=4)
    np.testing.assert_allclose(ours, tdds.score(tmp_path / "npy", T=6, J=4, missing="carry"), 1e-4, 1e-5)


def with_(z: np.ndarray, at: tuple[int, int], value: float) -> np.ndarray:
    z = z.copy()
    z[at] = value
    return z


Z = logits_of(1)


@pytest.mark.parametrize(
    "batch, message",
    [
        (([N], Z[:1]), "there is no sample 40; with 40 samples the ids are 0 to 39"),
        (([0, -1], Z[:2]), "there is no sample -1"),
        (([0], Z[:1, :5]), "`logits` has 5 classes, but the recording has 7"),
        (([0], Z[:2]), "there are 1 ids for 2 rows of logits"),
        (([3, 9], with_(Z[:2], (1, 4), np.nan)), r"a logit of sample 9 \(row 1\) is not finite"),
        (([3, 9], with_(Z[:2], (0, 4), np.inf)), r"a logit of sample 3 \(row 0\) is not finite"),
        (([0], Z[0]), "`logits` has 1 dimensions; give 2"),
        (([0], Z[:1].astype(np.float64)), "`logits` must be float32, float16 or bfloat16; convert it"),
        (([0.5], Z[:1]), "`ids` must be an array of integers"),
        (("0", Z[:1]), "`ids` is of type str; give an array"),
        (([0], Z[:1], [(LABELS[0] + 1) % K]), "sample 0 has the label .*, but had .* before"),
        (([0], Z[:1], [K]), "sample 0 has the label 7; with 7 classes the labels are 0 to 6"),
        (([0, 1], Z[:2], LABELS[:1]), "there are 1 labels for 2 ids"),
    ],
)
def test_refused_batches_change_nothing(tmp_path: Path, batch: tuple, message: str) -> None:
    paths = tmp_path / "a.tdds", tmp_path / "b.tdds"
    for path in paths:
        with tdds.Recorder(path, N, K, LABELS) as recorder:
            recorder.update(IDS, logits_of(0))
            recorder.end_epoch()
            recorder.update(IDS[20:], Z[20:])
            if path == paths[1]:
                with pytest.raises(tdds.UsageError, match=message) as caught:
                    recorder.update(*batch)
                assert "\n" not in str(caught.value)
            recorder.update(IDS[:20], Z[:20])
            recorder.end_epoch()
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_rules_of_labels(tmp_path: Path) -> None:
    z = logits_of(0)
    with tdds.Recorder(tmp_path / "a.tdds", N, K) as recorder:
        recorder.update(IDS[:5], z[:5], LABELS[:5])
        with pytest.raises(tdds.UsageError, match="this update has no labels, but earlier ones had"):
            recorder.update(IDS[5:], z[5:])
        with pytest.raises(tdds.UsageError, match="sample 9 has the label 1, but had 0 before"):
            recorder.update([9, 9], z[:2], [0, 1])
        with pytest.raises(tdds.Error, match="35 of 40 samples have no label after epoch 0"):
            recorder.end_epoch()
        recorder.update(IDS[5:], z[5:], LABELS[5:])
        recorder.end_epoch()
    with tdds.Recorder(tmp_path / "b.tdds", N, K) as recorder:
        recorder.update(IDS, z)
        with pytest.raises(tdds.UsageError, match="the recording was started without"):
            recorder.update(IDS, z, LABELS)
        recorder.end_epoch()
    for labels, message in [
        (LABELS[1:], "there are 39 labels for 40"),
        (LABELS + 1, "sample .* has the label 7"),
    ]:
        with pytest.raises(tdds.UsageError, match=message):
            tdds.Recorder(tmp_path / "c.tdds", N, K, labels)


def test_construction(tmp_path: Path, trained: Path) -> None:
    for arguments, message in [
        ((tmp_path / "a.tdds", 0, K), "`samples` is 0"),
        ((tmp_path / "a.tdds", N, 1), "`classes` is 1"),
        ((tmp_path, N, K), "is a folder; give the path of the recording"),
        ((trained / "dynamics.tdds", 240, 10), "dynamics.tdds exists, but .*resume.safetensors.* does not"),
        (("/proc/none/a.tdds", N, K), "/proc/none"),
    ]:
        with pytest.raises(tdds.Error, match=message):
            tdds.Recorder(*arguments)
    assert tdds.read_dynamics(trained).epochs == EPOCHS
    with tdds.Recorder(tmp_path / "new" / "folder" / "a.tdds", N, K) as recorder:
        with pytest.raises(tdds.UsageError, match="epoch 0 has no visits"):
            recorder.end_epoch()
        recorder.update(IDS[:3], Z[:3])
        with pytest.raises(
            tdds.Error, match=r"process \d+ on the host .* is recording to .*a.tdds: close that"
        ):
            tdds.Recorder(tmp_path / "new" / "folder" / "a.tdds", N, K)
        with pytest.warns(UserWarning, match="3 visits since the last end_epoch were not recorded"):
            recorder.close()
    with pytest.raises(tdds.UsageError, match="the Recorder is closed"):
        recorder.update(IDS, Z)
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_continuing(tmp_path: Path) -> None:
    path = tmp_path / "a.tdds"
    with tdds.Recorder(path, N, K, LABELS, "data") as recorder:
        assert recorder.epoch == 0
        recorder.update(IDS, Z)
        with pytest.raises(tdds.UsageError, match="a.tdds is at epoch 0, not 3; continue from there"):
            recorder.end_epoch(epoch=3)
        recorder.end_epoch(epoch=0)
    for arguments, message in [
        ((N + 1, K, None, "data"), "was recorded with other `samples` or `classes`"),
        ((N, K + 1, None, "data"), "was recorded with other `samples` or `classes`"),
        ((N, K, None, "other"), "was recorded with other data"),
        ((N, K, (LABELS + 1) % K, "data"), "was recorded with other `labels`"),
    ]:
        with pytest.raises(tdds.Error, match=message):
            tdds.Recorder(path, *arguments)
    with tdds.Recorder(path, N, K, None, "data") as recorder:
        assert recorder.epoch == 1
        with pytest.raises(tdds.UsageError, match="is at epoch 1, not 0"):
            recorder.update(IDS, Z, epoch=0)
        with pytest.raises(tdds.UsageError, match="sample 0 has the label"):
            recorder.update(IDS, Z, (LABELS + 1) % K)
        recorder.update(IDS, Z, LABELS, epoch=1)
        recorder.end_epoch()
    path.unlink()
    with pytest.raises(tdds.Error, match="a.tdds"):
        tdds.Recorder(path, N, K, None, "data")


LOOP = """
import sys, time
sys.path.insert(0, {tests!r})
from test_recorder import *
with tdds.Recorder(sys.argv[1], N, K) as recorder:
    print("ready", flush=True)
    for epoch in range(recorder.epoch, int(sys.argv[2])):
        ids = np.random.default_rng(epoch).permutation(N)[: N - (3 if epoch else 0)]
        for part in np.array_split(ids, 4):
            recorder.update(part, logits_of(epoch)[part], LABELS[part], epoch=epoch)
            if epoch == int(sys.argv[3]):
                os.kill(os.getpid(), signal.SIGKILL)
        recorder.end_epoch()
"""


def loop(path: Path, epochs: int, kill_in: int = -1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOOP.format(tests=str(Path(__file__).parent)), str(path)]
    return subprocess.Popen([*command, str(epochs), str(kill_in)], stdout=subprocess.PIPE, text=True)


def test_killed_and_continued(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.tdds", tmp_path / "killed.tdds"
    assert loop(whole, 5).wait() == 0
    for epoch in (0, 2, 4):
        assert loop(killed, 5, epoch).wait() == -signal.SIGKILL
        assert os.path.exists(killed) == (epoch > 0)
    assert loop(killed, 5).wait() == 0
    assert whole.read_bytes() == killed.read_bytes()


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Twenty kills, each after a random time of at most a twentieth of the whole recording's."""
    epochs = 600
    whole, killed = tmp_path / "whole.tdds", tmp_path / "killed.tdds"
    process = loop(whole, epochs)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    begin = time.monotonic()
    assert process.wait() == 0
    seconds = time.monotonic() - begin
    rng = np.random.default_rng(0)
    reached = []
    for _ in range(20):
        process = loop(killed, epochs)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0, seconds / 20))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        if killed.exists():
            reached.append(tdds.read_dynamics(killed).epochs)
    assert len(set(reached)) > 5 and reached[-1] < epochs
    assert loop(killed, epochs).wait() == 0
    assert whole.read_bytes() == killed.read_bytes()


def test_without_what_continues_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tdds"
    with tdds.Recorder(path, N, K, LABELS, resume=False) as recorder:
        recorder.update(IDS, logits_of(0))
        recorder.end_epoch()
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".lock"] == ["a.tdds"]
    for resume in (False, True):
        with pytest.raises(tdds.Error, match="a.tdds exists, but .*resume.safetensors"):
            tdds.Recorder(path, N, K, LABELS, resume=resume)
    path.unlink()
    record(path, [(IDS, logits_of(0))], labels=LABELS)
    with pytest.raises(tdds.Error, match="belongs to a recording that can be continued"):
        tdds.Recorder(path, N, K, LABELS, resume=False)
    with pytest.warns(UserWarning, match=r"each end_epoch saves 1.2 GB in .*b.tdds.resume"):
        tdds.Recorder(tmp_path / "b.tdds", 300_000, 1000).close()


def test_killed_between_the_files(tmp_path: Path) -> None:
    """The store has an epoch more than the file beside it, as after a kill between the two writes."""
    path = tmp_path / "a.tdds"
    resume = tmp_path / "a.tdds.resume.safetensors"
    for stop in (0, 1):
        saved = b""
        with tdds.Recorder(path, N, K, LABELS) as recorder:
            for epoch in range(3):
                if epoch == stop + 1:
                    whole = path.read_bytes()
                if epoch == stop and epoch > 0:
                    saved = resume.read_bytes()
                recorder.update(IDS, logits_of(epoch))
                recorder.end_epoch()
        if stop == 0:  # what the first end_epoch saves before the store
            header = b'{"__metadata__":{"epochs":"0"}}'
            saved = len(header).to_bytes(8, "little") + header
        path.write_bytes(whole)
        resume.write_bytes(saved)
        with tdds.Recorder(path, N, K, LABELS) as recorder:
            assert recorder.epoch == stop
            recorder.update(IDS, logits_of(stop))
            recorder.end_epoch()
        assert path.read_bytes() == whole
        path.unlink()
        resume.unlink()
