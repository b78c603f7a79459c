"""Tests of bench/torch_ops.py and of `bench_kernels --torch`, without PyTorch. Nothing is asserted about times.

Started by tests/cmake/bench_scripts_test.cmake, with the path of bench_kernels where it is built.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
BENCH = HERE.parent.parent / "bench"
sys.path.insert(0, str(BENCH))
import kernel_results  # noqa: E402
import torch_ops  # noqa: E402

BENCH_KERNELS = pathlib.Path(sys.argv.pop()) if len(sys.argv) > 1 else pathlib.Path()


def make_torch():
    """A torch whose functions accept anything and return what the peers take apart."""
    torch = unittest.mock.MagicMock()
    torch._batch_norm_impl_index.return_value = [unittest.mock.MagicMock() for _ in range(5)]
    for op in ("max_pool2d_with_indices", "nll_loss_forward"):
        getattr(torch.ops.aten, op).default.return_value = [unittest.mock.MagicMock() for _ in range(2)]
    return torch


class Clock:
    """Advances by the next of `steps` seconds between two readings within a run, and by nothing elsewhere."""

    def __init__(self, *steps):
        self.steps, self.now = list(steps), 0.0

    def __call__(self):
        return self.now

    def run(self):
        self.now += self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]


class TorchOpsTest(unittest.TestCase):
    def test_reads_a_shape(self):
        shape = torch_ops.parse_shape("rows=32 channels=8 relu=0 dtype=bf16")
        self.assertEqual(vars(shape), {"rows": 32, "channels": 8, "relu": 0, "dtype": "bf16"})
        self.assertEqual([torch_ops.sides(n) for n in (1, 16, 12)], [(1, 1), (4, 4), (12, 1)])

    def test_samples_until_they_agree(self):
        clock, prepared = Clock(5, 1), []
        seconds = torch_ops.sample(lambda: prepared.append(0), clock.run, 0.02, 100, clock)
        self.assertEqual(seconds, [1] * 5, "the first run does not count")
        self.assertEqual(len(prepared), 6)

    def test_samples_for_a_limited_time(self):
        clock = Clock(*(1, 3) * 200)
        seconds = torch_ops.sample(lambda: None, clock.run, 0.001, 100, clock)
        self.assertAlmostEqual(sum(seconds), 100, delta=4)
        clock = Clock(*(1, 3) * 200)
        long = torch_ops.sample(lambda: None, clock.run, 0.15, 1000, clock)
        self.assertLess(len(long), 200)
        self.assertTrue(torch_ops.settled(long, 0.15))
        self.assertFalse(torch_ops.settled(long[:4], 0.15))
        clock = Clock(3)
        self.assertEqual(torch_ops.sample(lambda: None, clock.run, 0.02, 2, clock), [3], "one run at least")

    def test_the_noise_is_that_of_bench_kernels(self):
        self.assertEqual(torch_ops.noise_of([1, 2, 3, 4, 5]), 1 / 3)
        self.assertEqual(torch_ops.noise_of([2, 4]), 0.5 / 3)

    def test_the_flush_is_not_counted(self):
        clock = Clock(1)
        seconds = torch_ops.sample(clock.run, clock.run, 0.02, 100, clock)
        self.assertEqual(seconds, [1] * 5)

    def test_a_round_has_its_own_operands(self):
        measurement = torch_ops.Measurement(make_torch())
        request = {"op": "relu", "shape": "n=7 dtype=f16", "device": "cpu", "precision": "fp32", "batch": 4,
                   "round": 0, "flush_bytes": 0, "noise": 1, "seconds": 0}  # fmt: skip
        peers = []
        for number in (0, 0, 1):
            measurement.answer(request | {"round": number})
            peers.append(*measurement.peers.values())
        self.assertIs(peers[0], peers[1])
        self.assertIsNot(peers[0], peers[2])

    def test_a_gpu_replays_many_runs_and_subtracts_the_flush(self):
        torch, calls = make_torch(), []
        measurement = torch_ops.Measurement(torch)
        with unittest.mock.patch.object(torch_ops.Peers, "relu", lambda self, s: lambda: calls.append(s.n)):
            request = {"op": "relu", "shape": "n=7 dtype=f16", "device": "cuda", "precision": "fp16", "batch": 4,
                       "round": 0, "flush_bytes": 64, "noise": 1, "seconds": 0}  # fmt: skip
            samples = iter([[2.0, 3.0], [0.5, 0.5]])  # of both, and of the flush alone
            with unittest.mock.patch.object(torch_ops, "sample", lambda *_: next(samples)):
                seconds = measurement.answer(request)
        self.assertEqual([round(20 * one, 9) for one in seconds], [1.5, 2.5])
        self.assertEqual(calls, [7] * (3 + 20))
        self.assertEqual(torch.cuda.graph.call_count, 2)
        self.assertFalse(torch.backends.cudnn.allow_tf32)

    def test_without_torch_it_says_so(self):
        ran = subprocess.run(
            [sys.executable, "-S", "-I", BENCH / "torch_ops.py", "2"],
            input="",
            text=True,
            capture_output=True,
            check=True,
        )
        self.assertRegex(json.loads(ran.stdout)["unusable"], r"^\S+ has no torch; set TDDS_TORCH_PYTHON to .*makes$")
        self.assertEqual(ran.stderr, "")


@unittest.skipUnless(BENCH_KERNELS.is_file(), "bench_kernels is not built")
class BenchKernelsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def bench(self, python, *flags, **environment):
        command = [BENCH_KERNELS, "--device", "cpu", "--width", "0.0625", "--batch_size", "4", "--image", "16",
                   "--seconds", "0.0001", "--rounds", "2", "--torch", "--out", self.folder / "out.json", *flags]  # fmt: skip
        variables = {"TDDS_TORCH_PYTHON": str(python), "OMP_WAIT_POLICY": "passive",
                     "TORCH_STAND_IN_REQUESTS": str(self.folder / "requests")}  # fmt: skip
        return subprocess.run(
            command, text=True, capture_output=True, check=False, env=os.environ | variables | environment
        )

    def test_rows_have_their_peers(self):
        # Cold rows take longer, and one shows the difference.
        ran = self.bench(HERE / "torch_stand_in.py", "--threads", "1", "--filter", "hot$|^add/")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        rows = {row["name"]: row for row in json.loads((self.folder / "out.json").read_text())["benchmarks"]}
        requests = [json.loads(line) for line in (self.folder / "requests").read_text().splitlines()]
        self.assertEqual({request["op"] for request in requests}, set(torch_ops.Peers._names()) - {"check_finite"})
        with_peer = {name: row for name, row in rows.items() if "torch_us" in row}
        ops = {name.split("/")[0] for name in with_peer}
        self.assertEqual(ops, {request["op"] for request in requests} - {"add"})
        for name, row in with_peer.items():
            self.assertEqual((row["torch_us"], row["torch_min_us"], row["torch_samples"]), (1e6, 1e6, 6), name)
            self.assertGreater(row["torch_ratio"], 0, name)
        self.assertEqual(ran.stderr.count("PyTorch's op failed: planted"), 2, "the hot and the cold row, once")
        self.assertRegex(ran.stdout, rf"geometric mean of {len(with_peer)} rows, in \d+ of which it is faster")
        # The result remains one that the other scripts read.
        self.assertEqual(set(kernel_results.read(self.folder / "out.json").rows), set(rows))
        # A request has the shape of its row; a cold one says how much to go through.
        self.assertEqual({bool(request["flush_bytes"]) for request in requests}, {False, True})
        self.assertIn("batch=4 height=16 width=16 channels=3 out_channels=4 filter_h=3 filter_w=3 stride=1 padding=1 "
                      "dtype=f32", [row.get("label") for row in rows.values()])  # fmt: skip

        # Each peer finds in the shape what it needs.
        peers = torch_ops.Peers(make_torch(), "cpu", "fp32", 4)
        for request in requests:
            with self.subTest(request["op"]):
                getattr(peers, request["op"])(torch_ops.parse_shape(request["shape"]))()

    def test_refuses_a_python_that_cannot_be_used(self):
        bare = self.folder / "bare"
        bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
        bare.chmod(0o755)
        no_gpu = self.bench(HERE / "torch_stand_in.py", "--device", "cuda")
        for ran, sentence in (
            (self.bench(bare), "has no torch; set TDDS_TORCH_PYTHON"),
            (
                self.bench(self.folder / "absent"),
                "cannot start .*/absent': No such file or directory; set TDDS_TORCH_PYTHON",
            ),
            (no_gpu, "cannot use the GPU; measure with --device cpu"),
        ):
            self.assertEqual(ran.returncode, 2, ran.stderr)
            self.assertRegex(ran.stderr, rf"^bench_kernels: --torch: .*{sentence}.*\n$")

    def test_stops_when_python_ends(self):
        ran = self.bench(HERE / "torch_stand_in.py", "--filter", "^(add|relu)/", TORCH_STAND_IN_ENDS="1")
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assertRegex(ran.stderr, r"the stand-in ends\nbench_kernels: .*Python.*has ended; what it said is above\n$")


if __name__ == "__main__":
    unittest.main()
