"""The Recorder in loops of PyTorch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import load, run
from test_recorder import IDS, LABELS, K, N, assert_same_bits, kl_of, logits_of, record

import tdds

torch = pytest.importorskip("torch")
tdds_torch = pytest.importorskip("tdds.torch")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_types_of_tensors(tmp_path: Path, dtype: str) -> None:
    logits = torch.from_numpy(logits_of(0)).to(getattr(torch, dtype))
    ids, labels = torch.from_numpy(IDS), torch.from_numpy(LABELS)
    wide = torch.zeros(K, 2 * N, dtype=logits.dtype)
    wide[:, ::2] = logits.T
    forms = {
        "plain": logits,
        "gradient": (logits.requires_grad_() * 1),
        "parameter": torch.nn.Parameter(logits.detach().clone()),
        "transposed": wide[:, ::2].T,
        "expanded": logits.detach()[:1].expand(N, K),
    }
    same = record(tmp_path / "same.tdds", [(IDS, logits.detach().float().numpy())], labels=LABELS)
    one = record(
        tmp_path / "one.tdds", [(IDS, np.tile(logits.detach()[:1].float().numpy(), (N, 1)))], labels=LABELS
    )
    for name, given in forms.items():
        got = record(tmp_path / f"{name}.tdds", [(ids, given, labels)])
        assert_same_bits(Path(got.path), Path((one if name == "expanded" else same).path), 1)


def test_other_types_of_tensors(tmp_path: Path) -> None:
    logits = torch.from_numpy(logits_of(0))
    with tdds.Recorder(tmp_path / "a.tdds", N, K) as recorder:
        recorder.update(torch.arange(0), torch.empty(0, K), torch.arange(0))
        for bad, message in [
            (logits.double(), "`logits` must be float32, float16 or bfloat16; convert it"),
            (logits.to(torch.complex64), "`logits` must be float32, float16 or bfloat16; convert it"),
            (logits.to_sparse(), "`logits` cannot be read as an array; give a dense array"),
            (torch.empty(N, K, device="meta"), "`logits` has no values in memory that can be read; give an"),
        ]:
            with pytest.raises(tdds.UsageError, match=message) as caught:
                recorder.update(torch.arange(N), bad, torch.from_numpy(LABELS))
            assert "\n" not in str(caught.value)
        recorder.update(torch.arange(N), logits, torch.from_numpy(LABELS))
        recorder.end_epoch()


EPOCHS, SAMPLES, CLASSES = 14, 300, 5


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training in PyTorch that feeds the Recorder, in bf16 autocast for odd batches, and writes the
    official files."""
    folder = tmp_path_factory.mktemp("loop")
    (folder / "npy").mkdir()
    torch.manual_seed(0)
    points = torch.randn(SAMPLES, 12)
    labels = (points[:, :CLASSES] + torch.randn(SAMPLES, CLASSES)).argmax(1)
    data = tdds_torch.Indexed(torch.utils.data.TensorDataset(points, labels))
    loader = torch.utils.data.DataLoader(data, 32, shuffle=True, num_workers=2, persistent_workers=True)
    net = torch.nn.Sequential(torch.nn.Linear(12, 64), torch.nn.ReLU(), torch.nn.Linear(64, CLASSES))
    sgd = torch.optim.SGD(net.parameters(), 0.3, momentum=0.9)
    with tdds.Recorder(folder / "dynamics.tdds", SAMPLES, CLASSES) as recorder:
        for epoch in range(EPOCHS):
            outputs, losses, indexes = [], [], []
            for i, (x, y, ids) in enumerate(loader):
                with torch.autocast("cpu", torch.bfloat16, enabled=i % 2 == 1):
                    logits = net(x)
                recorder.update(ids, logits, y, epoch=epoch)
                loss = torch.nn.functional.cross_entropy(logits.float(), y, reduction="none")
                sgd.zero_grad()
                loss.mean().backward()
                sgd.step()
                outputs.append(logits.detach().float().numpy())
                losses.append(loss.detach().numpy())
                indexes.append(ids.numpy())
            assert recorder.end_epoch() == 0
            for name, parts in [("Output", outputs), ("Loss", losses), ("Index", indexes)]:
                np.save(folder / "npy" / f"{epoch}_{name}.npy", np.concatenate(parts))
    return folder


def test_series_against_float64(loop: Path) -> None:
    recorded = tdds.read_dynamics(loop)
    before = None
    for epoch in range(EPOCHS):
        order = load(loop / "npy" / f"{epoch}_Index.npy")
        now = np.empty((SAMPLES, CLASSES), np.float32)
        now[order] = load(loop / "npy" / f"{epoch}_Output.npy")
        np.testing.assert_allclose(
            recorded["loss"][epoch][order], load(loop / "npy" / f"{epoch}_Loss.npy"), 1e-5, 1e-6
        )
        if before is not None:
            kl, _ = kl_of(before, now)
            assert kl.min() > 0
            np.testing.assert_allclose(recorded["kl"][epoch], kl, rtol=1e-5, atol=0)
        before = now


@pytest.mark.parametrize("window", [5, 10])
def test_order_from_either_source(loop: Path, tmp_path: Path, window: int) -> None:
    scores = []
    for source in (loop / "npy", loop / "dynamics.tdds"):
        masks = tmp_path / source.stem
        run("tdds-score", "--dynamics_path", source, "--mask_path", masks, "--trajectory_len", EPOCHS,
            "--window_size", window)  # fmt: skip
        ids, in_order = tdds.read_mask(masks / f"data_mask_win{window}_ep{EPOCHS}.npy")
        by_sample = np.empty(SAMPLES)
        by_sample[ids] = in_order
        scores.append(by_sample)
    official, recorded = scores
    tolerance = 1e-5 * official
    np.testing.assert_array_less(np.abs(recorded - official), tolerance)
    apart = official[:, None] - official > tolerance[:, None] + tolerance
    assert apart.sum() > 0.49 * SAMPLES * (SAMPLES - 1)
    assert (recorded[:, None] > recorded)[apart].all()


IMPORTS = """
import sys
{first}
{second}
sys.path.insert(0, {tests!r})
from test_recorder import *
torch.manual_seed(0)
torch.nn.functional.conv2d(torch.randn(8, 3, 32, 32), torch.randn(16, 3, 3, 3))  # starts torch's threads
labels = torch.from_numpy(LABELS)
record(Path(sys.argv[1]), [(torch.arange(N), torch.from_numpy(logits_of(e)), labels) for e in range(3)])
print(len(tdds.score(sys.argv[1], "entropy")))
"""


def test_order_of_imports(tmp_path: Path) -> None:
    imports = ["import torch", "import tdds"]
    for name, (first, second) in {"before": imports, "after": imports[::-1]}.items():
        code = IMPORTS.format(first=first, second=second, tests=str(Path(__file__).parent))
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / name], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, f"{N}\n"), done.stderr
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()


def test_batches_on_a_gpu_are_scored_at_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU's tensors with their asynchronous copy; with a real GPU where there is one."""
    with tdds.Recorder(tmp_path / "cpu.tdds", N, K, LABELS) as recorder:
        for epoch in range(3):
            recorder.update(IDS[:20], logits_of(epoch)[:20])
            recorder.update(IDS[20:], logits_of(epoch)[20:])
            recorder.end_epoch()
    log = []

    class Event:
        def synchronize(self) -> None:
            log.append("waited")

    class Stream:
        def record_event(self) -> Event:
            log.append("queued")
            return Event()

    class CudaTensor:
        is_cuda, device = True, "cuda:0"

        def __init__(self, values: np.ndarray) -> None:
            self.values = values

        def detach(self) -> "CudaTensor":
            return self

        def to(self, device: str, *, non_blocking: bool) -> np.ndarray:
            assert device == "cpu" and non_blocking
            return self.values

    gpu = CudaTensor
    if torch.cuda.is_available():
        gpu = lambda values: torch.from_numpy(values).cuda()
    else:
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    bad = logits_of(0).copy()
    bad[3] = np.nan
    with tdds.Recorder(tmp_path / "gpu.tdds", N, K, LABELS) as recorder:
        for epoch in range(3):
            recorder.update(gpu(IDS[:20]), gpu(logits_of(epoch)[:20]))
            recorder.update(gpu(IDS), gpu(bad))
            with pytest.raises(tdds.UsageError, match="a logit of sample 3"):  # of the batch before
                recorder.update(IDS[20:], gpu(logits_of(epoch)[20:]))
            recorder.end_epoch()
    assert (tmp_path / "cpu.tdds").read_bytes() == (tmp_path / "gpu.tdds").read_bytes()
    if not torch.cuda.is_available():
        assert log == ["queued", "queued", "waited", "queued", "waited", "waited"] * 3
