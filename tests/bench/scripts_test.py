"""Runs the scripts of bench/ on made results. Started by tests/cmake/bench_scripts_test.cmake."""

import collections
import io
import itertools
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree
from contextlib import redirect_stderr, redirect_stdout

BENCH = pathlib.Path(__file__).resolve().parent.parent.parent / "bench"
sys.path.insert(0, str(BENCH))
import compare  # noqa: E402
import counter_pictures  # noqa: E402
import kernel_results  # noqa: E402
import roofline  # noqa: E402

OPS = [("conv2d_forward", f"layer{i}.0.conv1", 0.5 * i) for i in range(1, 5)]
OPS += [("batchnorm_forward", f"layer{i}.0.bn1", 0) for i in range(1, 5)]
NAMES = [f"{op}/{at}/cpu/{precision}/{state}" for op, at, _ in OPS for precision in ("fp32", "bf16")
         for state in ("hot", "cold")]  # fmt: skip
SLOW = "conv2d_forward/layer2.0.conv1/cpu/fp32/hot"


def entry(name, gflop, factor, rng):
    """A row as bench_kernels writes it: samples with jitter, and a tenth of them lengthened by other work."""
    typical = 100 * factor * (1 + NAMES.index(name)) * rng.gauss(1, 0.005)
    samples = [
        typical * (1 + abs(rng.gauss(0, 0.03))) * (rng.uniform(1.2, 3) if rng.random() < 0.1 else 1)
        for _ in range(rng.randrange(20, 60))
    ]
    low, middle, high = statistics.quantiles(samples, n=4)
    return {
        "name": name, "run_type": "iteration", "real_time": middle, "cpu_time": middle, "time_unit": "us",
        "min_us": min(samples), "noise": 50 * (high - low) / middle, "samples": len(samples), "MB": 10.0,
        "GB/s": 1e4 / middle, "calls": 2, "floor": 40 * factor / middle,
        **({"GFLOP": gflop, "GFLOP/s": 1e6 * gflop / middle} if gflop else {}),
    }  # fmt: skip


def result(seed, slower=(), factor=1.0, context=()):
    """A whole result; the rows in `slower` take `factor` times as long."""
    rng = random.Random(seed)
    gflops = [gflop for _, _, gflop in OPS for _ in range(4)]
    rows = [entry(name, gflop, factor if name in slower else 1, rng) for name, gflop in zip(NAMES, gflops)]
    about = {"date": f"2026-12-{seed % 28 + 1:02}T10:00:00", "host_name": "here", "device": "CPU", "num_cpus": 2,
             "tdds_version": f"0.1.{seed}", "peak_copy_GB/s": "10", "peak_fp32_GFLOP/s": 2000.0,
             "peak_half_GFLOP/s": 4000.0}  # fmt: skip
    return {"context": about | dict(context), "benchmarks": rows}


MANY = [f"op/{i}/cpu/fp32/hot" for i in range(190)]  # as many rows as the default run has


def rounds_of(rng, memory, rounds=20):
    """The medians of a row's rounds: `memory` is how much the place of the operands matters."""
    return [
        100 * math.exp(rng.gauss(0, memory)) * (rng.paretovariate(3) if rng.random() < 0.05 else 1)
        for _ in range(rounds)
    ]


def result_of_rounds(seed, slower=(), factor=1.0, rounds=20, load=0.0):
    """A result with rounds of many rows.

    One row in ten depends on its memory by 10 %, the others by 3.5 %. In two rounds all rows are slower; `load` slows
    each row for the whole run, by up to that share.
    """
    rng = random.Random(seed)
    begin = rng.randrange(rounds)
    rows = []
    for at_row, name in enumerate(MANY):
        always = (factor if name in slower else 1) * (1 + rng.uniform(0, load))
        times = rounds_of(rng, 0.1 if at_row % 10 == 5 else 0.035, rounds)
        times = [always * time * (1.3 if begin <= at < begin + 2 else 1) for at, time in enumerate(times)]
        rows.append({"name": name, "time_unit": "us", "real_time": statistics.median(times),
                     "min_us": 0.97 * min(times), "noise": 5.0, "samples": 10 * rounds,
                     **{f"round_{at + 1}_us": time for at, time in enumerate(times)}})  # fmt: skip
    return {"context": {}, "benchmarks": rows}


class ScriptsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def script(self, script, *args):
        """Runs a script as the command line does, but in this process, which is faster."""
        out, err = io.StringIO(), io.StringIO()
        argv = [f"{script.__name__}.py", *map(str, args)]
        with unittest.mock.patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
            try:
                kernel_results.run(script.main)
            except SystemExit as end:
                return subprocess.CompletedProcess(argv, end.code, out.getvalue(), err.getvalue())

    def refused(self, sentence, script, *args):
        """The script ends with exit code 2 and one sentence."""
        ran = self.script(script, *args)
        self.assertEqual(ran.returncode, 2, ran.stdout + ran.stderr)
        self.assertRegex(ran.stderr, rf"^{script.__name__}.py: .*{sentence}.*\n$")

    def read(self, content):
        return kernel_results.read(self.write("one.json", content))

    def changes(self, before, after):
        return compare.changes_between(self.read(before), self.read(after))

    def test_finds_a_planted_regression(self):
        a, b = self.write("a.json", result(1)), self.write("b.json", result(2, [SLOW], 1.2))
        ran = self.script(compare, a, b, "--svg", self.folder / "c.svg")
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertIn("32 rows compared: 1 slower, 0 faster", ran.stdout)
        self.assertIn(f"1 slower than the bound of 10 %, the most {SLOW}", ran.stderr)
        texts = "\n".join(xml.etree.ElementTree.parse(self.folder / "c.svg").getroot().itertext())
        self.assertIn(SLOW, texts)
        self.assertRegex(texts, r"1\.[12]\d+ slower")
        command = [sys.executable, "-B", BENCH / "compare.py", a, b]
        self.assertEqual(subprocess.run(command, capture_output=True, check=False).returncode, 1)
        # A wider bound allows it; the other way round it is faster; a filter may leave it out.
        self.assertEqual(self.script(compare, a, b, "--bound", "30").returncode, 0)
        self.assertIn("0 slower, 1 faster", self.script(compare, b, a).stdout)
        self.assertEqual(self.script(compare, a, b, "--filter", "cold$").returncode, 0)

    def test_finds_planted_regressions_of_any_seed(self):
        for seed in range(20):
            changes = self.changes(result(seed), result(100 + seed, NAMES[::4], 1.2))
            self.assertEqual({one.name for one in changes if one.verdict == "slower"}, set(NAMES[::4]), seed)

    def test_does_not_mark_an_unchanged_pair(self):
        for seed in range(20):
            marked = [one for one in self.changes(result(seed), result(100 + seed)) if one.marked]
            self.assertEqual(marked, [], seed)

    def test_does_not_mark_the_least_changes(self):
        a, b = result(1), result(1)  # the same samples, and no noise: only how far they are apart decides
        for one in a["benchmarks"] + b["benchmarks"]:
            one["noise"] = 0
        for factor, marks in ((1.015, 0), (1.03, 2)):
            for one, other in zip(a["benchmarks"][:2], b["benchmarks"]):
                other.update(real_time=one["real_time"] * factor, min_us=one["min_us"] * factor)
            self.assertEqual(sum(one.marked for one in self.changes(a, b)), marks, factor)

    def test_other_work_that_the_fastest_runs_escape_is_not_marked(self):
        b = result(2)
        b["benchmarks"][3]["real_time"] *= 2
        self.assertEqual([one for one in self.changes(result(1), b) if one.marked], [])

    def test_the_number_of_contrary_pairs_is_that_of_all_orders(self):
        for a, b in ((3, 3), (2, 5), (4, 4)):
            orders = collections.Counter(
                sum(one > other for one in chosen for other in set(range(a + b)) - set(chosen))
                for chosen in itertools.combinations(range(a + b), a)
            )
            for chance in (0.01, 0.1, 0.3, 0.8):
                allowed = compare.contrary_pairs(a, b, chance)
                reached = itertools.accumulate(orders[i] for i in range(allowed + 2))
                likely = [2 * few / math.comb(a + b, a) for few in reached]
                self.assertGreater(likely[-1], chance)
                self.assertTrue(allowed < 0 or likely[-2] <= chance, (a, b, chance))

    def test_marks_no_more_unchanged_rows_than_it_says(self):
        # Rounds of one distribution, with heavy tails: a chance of a tenth for each row.
        rng, marks, tries = random.Random(1), 0, 4000
        for _ in range(tries):
            rows = [kernel_results.Row("x", 1, 1, 0, 1, 0, 0, 0, 0, rounds_of(rng, 0.05, rounds=6)) for _ in range(2)]
            low, high = compare.limits(*rows, 0.1)
            marks += low > 1 or high < 1
        self.assertLess(marks / tries, 0.1)
        self.assertGreater(marks / tries, 0.05)

    def test_rounds_of_an_unchanged_program_are_not_marked(self):
        # 40 comparisons, each with a chance of 3 % that the rounds of a row hardly overlap, and of less that it is marked.
        results = [self.read(result_of_rounds(seed)) for seed in range(41)]
        for before, after in itertools.pairwise(results):
            self.assertEqual([one for one in compare.changes_between(before, after) if one.marked], [])

    def test_other_work_during_a_whole_run_is_not_marked(self):
        for seed in range(10):
            before, after = result_of_rounds(seed), result_of_rounds(100 + seed, load=0.5)
            self.assertEqual([one for one in self.changes(before, after) if one.marked], [])
        ran = self.script(compare, self.write("a.json", before), self.write("b.json", after))
        self.assertEqual(ran.returncode, 0)
        self.assertRegex(ran.stdout, r"half of all rows differ by 2\d\.\d % or more: the machine was not in the same")

    def test_rounds_show_a_planted_regression(self):
        # A few rows, or a whole kind of kernels.
        for slower in (MANY[:4], MANY[::4]):
            for factor, least in ((1.15, 0.8), (1.3, 0.9)):
                found = 0
                for seed in range(10):
                    before, after = result_of_rounds(seed), result_of_rounds(100 + seed, slower, factor)
                    marked = {one.name for one in self.changes(before, after) if one.verdict == "slower"}
                    self.assertLessEqual(marked, set(slower))
                    found += len(marked) / len(slower) / 10
                self.assertGreaterEqual(found, least, (len(slower), factor))
        ran = self.script(compare, self.write("a.json", before), self.write("b.json", after))
        self.assertEqual(ran.returncode, 1, ran.stdout)
        self.assertNotIn("measure", ran.stdout)

    def test_says_what_a_single_run_cannot_show(self):
        few, old = result_of_rounds(1, rounds=5), result(1)
        ran = self.script(compare, self.write("a.json", few), self.write("b.json", few))
        self.assertIn("5 rounds and 5 cannot show a change of one of 190 rows: measure with --rounds 8", ran.stdout)
        self.assertIn("190 rows are too noisy to show a change of 10 %", ran.stdout)
        # Few rounds are enough for a single row.
        slow = result_of_rounds(2, MANY[:1], 2, rounds=5)
        ran = self.script(compare, self.folder / "a.json", self.write("b.json", slow), "--filter", "^op/0/")
        self.assertIn("1 rows compared: 1 slower", ran.stdout)
        # Older results have no rounds.
        ran = self.script(compare, self.write("a.json", old), self.write("b.json", old))
        self.assertIn("one run without rounds does not show what changes between runs", ran.stdout)

    def test_runs_of_a_folder_are_merged(self):
        # Each run is precise, but the runs of a program differ by more than the programs do.
        for run, factor in enumerate((1.0, 1.3, 1.5)):
            self.write(f"a/{run}.json", result(run, [SLOW], factor))
            self.write(f"b/{run}.json", result(10 + run, [SLOW], factor * 1.15))
        self.assertEqual(
            self.script(compare, self.folder / "a/0.json", self.folder / "b/2.json").returncode, 1
        )
        ran = self.script(compare, self.folder / "a", self.folder / "b")
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertIn("0 slower, 0 faster", ran.stdout)
        self.assertIn("1 rows are too noisy to show a change of 10 %", ran.stdout)

    def test_a_merged_row_has_the_medians_of_the_runs(self):
        for run, factor in enumerate((3, 1, 2)):
            row = {"name": SLOW, "time_unit": "ms", "real_time": factor, "min_us": 900 * factor, "noise": factor,
                   "samples": 10 * factor}  # fmt: skip
            self.write(f"a/{run}.json", {"context": {}, "benchmarks": [row]})
        row = kernel_results.read_runs(self.folder / "a").rows[SLOW]
        self.assertEqual((row.us, row.min_us, row.noise, row.samples), (2000, 1800, 0.02, 20))
        self.assertEqual((row.runs, row.spread), (3, math.log(3) / 2))

    def test_names_what_cannot_be_compared(self):
        one, other = result(1), result(2, context={"host_name": "there", "peak_copy_GB/s": 8})
        del one["benchmarks"][0], other["benchmarks"][-1]
        other["benchmarks"][6] = {"name": NAMES[6], "error_occurred": True, "error_message": "no plan"}
        ran = self.script(compare, self.write("a.json", one), self.write("b.json", other))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        for line in (f"only in A: {NAMES[-1]}", f"only in B: {NAMES[0]}", f"failed in B: {NAMES[6]}: no plan",
                     "measured on different machines: host_name is here in A and there in B",
                     "the machine itself changed: its peak_copy_GB/s is 10 in A and 8 in B"):  # fmt: skip
            self.assertIn(line, ran.stdout)

    def test_refuses_unusable_files_and_arguments(self):
        good, rows = self.write("good.json", result(1)), result(1)["benchmarks"]
        whole = json.dumps(result(1))
        for content, sentence in (
            (whole[: len(whole) // 2], "is damaged: line 1 is not valid JSON"),
            ("[]", "is not a result of bench_kernels: it has no 'context'"),
            ({"context": {}}, "it has no 'benchmarks'"),
            ({"context": {}, "benchmarks": [3]}, "a row without a name"),
            ({"context": {}, "benchmarks": [rows[0], rows[0]]}, "twice"),
            ({"context": {}, "benchmarks": [rows[0] | {"real_time": "x"}]}, "has a 'real_time' of 'x'"),
            (
                {"context": {}, "benchmarks": [rows[0] | {"real_time": float("nan")}]},
                "has a 'real_time' of nan",
            ),
            ({"context": {}, "benchmarks": [rows[0] | {"samples": 0}]}, "a number of samples of 0"),
            ({"context": {}, "benchmarks": [rows[0] | {"name": "sgd/cpu"}]}, "its row sgd/cpu is not named"),
            (
                {"context": {}, "benchmarks": [{"name": "x", "real_time": 1, "time_unit": "us"}]},
                "has no 'min_us'",
            ),
            ({"context": {}, "benchmarks": []}, "no row in common"),
        ):
            with self.subTest(sentence):
                self.refused(sentence, compare, good, self.write("bad.json", content))
        (self.folder / "binary.json").write_bytes(b"\xff\xfe\x00")
        (self.folder / "empty").mkdir()
        self.refused("not JSON but binary data", compare, self.folder / "binary.json", good)
        self.refused("cannot be read: No such file", compare, good, self.folder / "absent.json")
        self.refused("holds no result", compare, good, self.folder / "empty")
        self.refused("give two results", compare, good)
        self.refused("is not a regular expression", compare, good, good, "--filter", "(")
        self.refused("--bound -1", compare, good, good, "--bound", "-1")
        self.refused("cannot be written", compare, good, good, "--svg", self.folder / "absent/c.svg")
        self.refused(
            "has no peak_copy_GB/s",
            roofline,
            self.write("a.json", result(1, context={"peak_copy_GB/s": 0})),
        )

    def test_lists_the_history(self):
        self.write("a.json", result(2, [SLOW], 2))
        self.write("b.json", result(1))
        self.write("other.json", {"results": []})
        self.write("damaged.json", "{")
        ran = self.script(compare, "--history", self.folder, "--filter", SLOW)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertRegex(ran.stderr, r"^compare.py: .*damaged.json is damaged: .*\n$")
        first, second = ran.stdout.splitlines()[2:]
        self.assertRegex(first, rf"\| {SLOW} +\| 2026-12-02T10:00:00 \| 0\.1\.1 +\| here, CPU \|")
        self.assertRegex(second, r"\| +\| 2026-12-03T10:00:00 \| 0\.1\.2 .*\| [12]\.\d+ +\|$")
        # The results that the repository holds are readable, whatever their format.
        self.assertNotIn("damaged", self.script(compare, "--history").stderr)

    def test_draws_the_roofline(self):
        rows = result(1)
        rows["benchmarks"].append(rows["benchmarks"][0] | {"name": "advance/x/simt/fp32/hot"})
        ran = self.script(roofline, self.write("a.json", rows))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        root = xml.etree.ElementTree.parse(self.folder / "a.svg").getroot()
        texts = [text.strip() for text in root.itertext()]
        self.assertIn("copy 10 GB/s", texts)
        self.assertIn("fp32 2000 GFLOP/s", texts)
        for op, at, _ in OPS:
            self.assertTrue(any(text.startswith(f"{op} {at} bf16") for text in texts), (op, at))
        self.assertFalse(any("simt" in text for text in texts))
        # 16 rows have FLOP and lie in both parts, the others in the lower one; a dot explains each of two precisions.
        dots = [element for element in root if element.tag.endswith("circle")]
        self.assertEqual(len(dots), 16 * 2 + 16 + 2)
        # Layer i does 0.5 i GFLOP on 10 MB: 50 i FLOP/byte.
        for row in rows["benchmarks"][:16:4]:
            floor = f"{row['name']}: {100 * row['floor']:.0f} %"
            reached = f"{row['name']}: {row['GFLOP/s']:.4g} GFLOP/s"
            self.assertTrue(any(text.endswith(reached) for text in texts), reached)
            self.assertIn(floor, texts)
        at = sorted({float(dot.get("cx")) for dot in dots if "GFLOP/s" in (dot[0].text or "")})
        self.assertEqual(len(at), 4)
        self.assertAlmostEqual(at[1] - at[0], at[3] - at[1], delta=0.2)  # 50, 100 and 200 FLOP/byte
        ticks = {text.text: float(text.get("x")) for text in root if text.get("text-anchor") == "middle"}
        self.assertAlmostEqual(ticks["100"], at[1], delta=0.2)

    def test_draws_the_counters(self):
        def counted(name, sectors, conflicts):
            global_ = {"requests": 1, "lanes": 32, "sectors": sectors, "bytes": 128}
            return {"kernel": name, "launches": 3, "loads": global_, "stores": global_, "barriers": 2000,
                    "shared": {"bytes": 0, "requests": 9, "lanes": 9, "conflicts": conflicts}}  # fmt: skip

        before = {"kernels": [counted("batchnorm_sums<float, 4>", 10**6, 7000), counted("sgd<float>", 1, 1)]}
        after = {"kernels": [counted("batchnorm_sums<float, 8>", 10**5, 0), counted("batchnorm_apply", 5, 0)]}
        a, b = self.write("a.json", before), self.write("b.json", after)
        ran = self.script(counter_pictures, a, b, "--out", self.folder)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        root = xml.etree.ElementTree.parse(self.folder / "counters.svg").getroot()
        texts = [text.strip() for text in root.itertext()]
        for text in ("3 → 3", "64 → 6.4", "7 → 0", "none → 3", "3 → 6"):
            self.assertIn(text, texts)
        self.assertFalse(any("sgd" in text for text in texts))
        requests = (self.folder / "requests.svg").read_text()
        for text in ("32 sectors, 12.5 %", "4 sectors, 100 %", "passes: 32, conflicts: 31", "passes: 1, conflicts: 0"):
            self.assertIn(text, requests)
        self.refused("cannot be read", counter_pictures, self.folder / "none.json", b)
        for content in ("{", {"kernels": [{}]}, [], {"kernels": 3}):
            self.refused("is not a result of bench_step", counter_pictures, self.write("c.json", content), b)
        self.refused("no kernel of batch norm", counter_pictures, self.write("c.json", {"kernels": []}), b)


if __name__ == "__main__":
    unittest.main()
