"""tdds.torch: data sets, samplers and gathered batches."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_recorder import LABELS, K, N, logits_of

import tdds

torch = pytest.importorskip("torch")
tdds_torch = pytest.importorskip("tdds.torch")


class Squares(torch.utils.data.Dataset):
    """The sample of an index, in several forms."""

    def __init__(self, form: str) -> None:
        self.form = form

    def __len__(self) -> int:
        return 10

    def __getitem__(self, i: int) -> object:
        forms = {"tuple": (i * i, -i), "list": [i * i, -i], "dict": {"square": i * i}, "one": i * i}
        return forms[self.form]


def test_indexed_forms() -> None:
    got = {form: tdds_torch.Indexed(Squares(form))[3] for form in ("tuple", "list", "dict", "one")}
    assert got == {"tuple": (9, -3, 3), "list": (9, -3, 3), "dict": {"square": 9, "id": 3}, "one": (9, 3)}

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self) -> object:
            return iter(())

    with pytest.raises(tdds.UsageError, match="Stream has no __getitem__ and __len__; give a map-style"):
        tdds_torch.Indexed(Stream())


@pytest.mark.parametrize("workers", [0, 2])
def test_indexed_in_a_loader(workers: int) -> None:
    data = tdds_torch.Indexed(Squares("tuple"))
    for chosen, expected in [(data, range(10)), (torch.utils.data.Subset(data, [7, 2]), (2, 7))]:
        loader = torch.utils.data.DataLoader(chosen, 4, shuffle=True, num_workers=workers)
        seen = []
        for squares, negatives, ids in loader:
            assert ids.dtype == torch.int64 and (squares == ids**2).all() and (negatives == -ids).all()
            seen += ids.tolist()
        assert sorted(seen) == list(expected)


def test_kept_subset(tmp_path: Path) -> None:
    scores = np.array([3, 1, 2, 5, 4, 2, 2, 9, 0, 7], np.float32)
    mask, _ = tdds.write_mask(tmp_path, scores)
    for prune in (0, 0.3, 0.45, 0.7, 0.99):
        kept = tdds_torch.KeptSubset(Squares("one"), mask, prune)
        expected = tdds.select(scores, prune)
        assert list(kept.indices) == expected.tolist() and [*kept] == [int(i) ** 2 for i in expected]
        np.testing.assert_array_equal(kept.scores, scores[expected])
    for prune in (1, -0.1, float("nan")):
        with pytest.raises(tdds.UsageError, match="`prune` is "):
            tdds_torch.KeptSubset(Squares("one"), mask, prune)
    short, _ = tdds.write_mask(tmp_path / "short", scores[:-1])
    with pytest.raises(tdds.UsageError, match="has 9 samples, but the data set has 10; .*train_ids"):
        tdds_torch.KeptSubset(Squares("one"), short, 0.5)
    with pytest.raises(tdds.Error, match="data_mask_absent"):
        tdds_torch.KeptSubset(Squares("one"), tmp_path / "data_mask_absent.npy", 0.5)


def test_score_sampler() -> None:
    scores = torch.tensor([-1.0, 0.0, 1.0, 3.0])
    sampler = tdds_torch.ScoreSampler(scores, 40000, uniform=0.2)
    first, second = list(sampler), list(sampler)
    assert len(sampler) == len(first) == 40000 and first != second
    share = np.bincount(first, minlength=4) / 40000
    np.testing.assert_allclose(share, 0.05 + 0.8 * np.array([0, 1, 2, 4]) / 7, atol=0.01)
    assert list(tdds_torch.ScoreSampler(scores, 40000, uniform=0.2)) == first
    assert 0 not in list(tdds_torch.ScoreSampler(scores, 1000, uniform=0))
    assert set(tdds_torch.ScoreSampler(np.ones(3, np.float16), 100)) == {0, 1, 2}
    data = tdds_torch.Indexed(Squares("one"))
    loader = torch.utils.data.DataLoader(data, 4, sampler=tdds_torch.ScoreSampler(np.arange(10.0)))
    assert sum(len(ids) for _, ids in loader) == 10
    for arguments, message in [
        (([],), "`scores` must be finite"),
        (([1.0, np.nan],), "`scores` must be finite"),
        ((scores, 0), "`samples` is 0"),
        ((scores, 5, 1.5), "`uniform` is 1.5"),
    ]:
        with pytest.raises(tdds.UsageError, match=message):
            tdds_torch.ScoreSampler(*arguments)


def batches(epoch: int) -> list[tuple[np.ndarray, int]]:
    """The ids of each batch of both processes, and how many the first one has. The last batch repeats some,
    as DistributedSampler does."""
    order = np.random.default_rng(epoch).permutation(N)
    return [(order[:16], 8), (order[16:32], 16), (np.append(order[32:], order[:3]), 1)]


PROCESS = """
import sys
sys.path.insert(0, {tests!r})
from test_torch_data import *
import tdds.torch
rank, meeting, path, dtype, labelled = int(sys.argv[1]), *sys.argv[2:]
torch.distributed.init_process_group("gloo", f"file://{{meeting}}", rank=rank, world_size=2)
recorder = tdds.Recorder(path, N, K) if rank == 0 else None
for epoch in range(3):
    for ids, cut in batches(epoch):
        own = ids[:cut] if rank == 0 else ids[cut:]
        logits = torch.from_numpy(logits_of(epoch)[own]).to(getattr(torch, dtype)).requires_grad_()
        labels = torch.from_numpy(LABELS[own]).to(torch.int32) if labelled == "labels" else None
        batch = tdds.torch.gather(torch.from_numpy(own), logits, labels)
        assert (batch is None) == (rank == 1)
        if batch is not None:
            assert batch[1].dtype == logits.dtype and batch[0].tolist() == ids.tolist()
            recorder.update(*batch)
    if rank == 0:
        recorder.end_epoch()
for other in (torch.zeros(2, K + rank), torch.zeros(2, K).to([torch.float16, torch.float32][rank]),
              torch.zeros(2, K)[:, 0] if rank else torch.zeros(2, K)):
    try:
        tdds.torch.gather(torch.arange(2), other)
    except tdds.UsageError as error:
        print(error)
try:
    tdds.torch.gather(torch.arange(2), torch.zeros(2, K), torch.arange(2) if rank else None)
except tdds.UsageError as error:
    print(error)
torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize(
    "dtype, labelled", [("float32", "labels"), ("bfloat16", "none"), ("float16", "labels")]
)
def test_gathered_batches_of_two_processes(tmp_path: Path, dtype: str, labelled: str) -> None:
    code = PROCESS.format(tests=str(Path(__file__).parent))
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                str(rank),
                tmp_path / "meeting",
                tmp_path / "d.tdds",
                dtype,
                labelled,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors for _, errors in ended)
    for output, _ in ended:
        lines = output.splitlines()
        assert len(lines) == 4 and "a process gave other shapes" in lines[2]
        assert all("process 1 gathers other logits than process 0" in lines[i] for i in (0, 1, 3))
    with tdds.Recorder(tmp_path / "one.tdds", N, K) as recorder:
        for epoch in range(3):
            for ids, _ in batches(epoch):
                logits = torch.from_numpy(logits_of(epoch)[ids]).to(getattr(torch, dtype))
                recorder.update(ids, logits, LABELS[ids] if labelled == "labels" else None)
            recorder.end_epoch()
    assert (tmp_path / "d.tdds").read_bytes() == (tmp_path / "one.tdds").read_bytes()


def test_gather_without_processes() -> None:
    logits = torch.zeros(2, 3, requires_grad=True)
    ids, got, labels = tdds_torch.gather(torch.arange(2), logits)
    assert ids.tolist() == [0, 1] and not got.requires_grad and labels is None
