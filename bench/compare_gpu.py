#!/usr/bin/env python3
"""Compares the throughput of the CIFAR ResNet-18 with PyTorch's on one GPU. Writes a table and a JSON file.

For every precision, with the training dynamics recorded on both sides and on neither, it measures tdds and these variants
of PyTorch, all with channels_last, AMP and the fused optimizer:

    eager         as most people train
    compiled      the model and the loss by torch.compile with CUDA graphs; the optimizer is eager
    captured      the model and the loss by torch.compile, and the whole step, with the optimizer, in one CUDA graph
    max-autotune  as compiled, with mode="max-autotune"; it compiles for minutes

They take turns, round by round, on the same card, so that changing clocks and other work affect all alike. The figure of a
round is that of its median block of steps; the table has the median of the rounds. A step of tdds gathers and augments its
images from the data set on the GPU; PyTorch does not and trains on one batch of random images. Both sides choose cuDNN's
plans by timing them before the measurement. --toggles also measures tdds with one of its means of speed turned off at a
time, and --baseline NAME=BENCH_STEP the program of another build, such as that of an earlier commit.

    python3 bench/compare_gpu.py [--out FILE] [--rounds 7] [--precisions fp32 tf32 fp16 bf16] [--dynamics on off]
                                 [--variants eager compiled captured max-autotune] [--toggles]
                                 [--baseline NAME=BENCH_STEP ...] [--seconds 480] [--tdds build/gpu/bench/bench_step]

It needs a GPU; without torch it measures tdds alone. Nothing is downloaded. A contender that fails is left out, with the
reason in the table. The file is written after each measurement, so an interrupted run keeps its results.
"""

import argparse
import datetime
import functools
import json
import pathlib
import shutil
import subprocess
import sys
import time

import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLASSES, SAMPLES, LOSS_SCALE = 100, 50000, 1024.0
BLOCK = 20  # steps between two waits for the GPU
VARIANTS = ("eager", "compiled", "captured", "max-autotune")
COMPILE_MODES = {"compiled": "reduce-overhead", "captured": "default", "max-autotune": "max-autotune"}
TOGGLES = {"no dependent launches": ["--no_dependent_launches"], "no branches": ["--no_branches"],
           "no own convolutions": ["--own_convolutions", "never"], "only own convolutions": ["--own_convolutions", "always"],
           "no recording": ["--eager"]}


def refuse(sentence):
    raise SystemExit(f"compare_gpu.py: {sentence}")


def gpu():
    """{name, driver, compute capability} of the first GPU; exits with an error if there is no GPU."""
    if not shutil.which("nvidia-smi"):
        refuse("no GPU found: there is no nvidia-smi, so no NVIDIA driver")
    fields = ("name", "driver_version", "compute_cap", "clocks.max.sm", "clocks.max.mem", "power.limit")
    found = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"], text=True,
                           capture_output=True)
    lines = found.stdout.splitlines()
    if found.returncode or not lines:
        refuse(f"no GPU found: nvidia-smi says {(found.stdout + found.stderr).strip()!r}")
    return dict(zip(fields, lines[0].split(", ")))


class Dynamics:
    """The KL of each sample to its previous visit by the official formula, stored on the GPU."""

    def __init__(self, torch, batch):
        self.torch = torch
        self.previous = torch.zeros(SAMPLES, CLASSES, device="cuda")
        self.kl = torch.zeros(SAMPLES, device="cuda")
        self.ids = torch.randperm(SAMPLES, device="cuda")[:batch]
        # torch.compile does not use CUDA graphs if a step writes to tensors whose address may change.
        for tensor in (self.previous, self.kl, self.ids):
            torch._dynamo.mark_static_address(tensor)

    def record(self, logits):
        p = self.torch.softmax(logits.detach().float(), 1)
        logp = self.torch.log(p + 1e-8)
        self.kl[self.ids] = (p * (logp - self.previous[self.ids])).abs().sum(1)
        self.previous[self.ids] = logp


def make_step(args):
    import torch
    sys.path.insert(0, str(ROOT / "tests/golden"))
    from official_net import make_net
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = args.work_precision != "fp32"
    half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(args.work_precision)
    net = make_net("resnet18", CLASSES).cuda().to(memory_format=torch.channels_last)
    x = torch.randn(args.batch, 3, 32, 32, device="cuda").contiguous(memory_format=torch.channels_last)
    label = torch.randint(CLASSES, (args.batch,), device="cuda")
    sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)
    # A static scale, as in tdds: it does not grow during a measurement.
    scaler = torch.amp.GradScaler("cuda", init_scale=LOSS_SCALE, growth_interval=10**9, enabled=half is torch.float16)
    dynamics = Dynamics(torch, args.batch) if args.work_dynamics else None

    def forward(x, label):
        with torch.autocast("cuda", dtype=half or torch.float16, enabled=half is not None):
            logits = net(x)
        if dynamics:
            dynamics.record(logits)
        return torch.nn.functional.cross_entropy(logits.float(), label)

    if args.work in COMPILE_MODES:
        forward = torch.compile(forward, mode=COMPILE_MODES[args.work])

    def step():
        loss = forward(x, label)
        sgd.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(sgd)
        scaler.update()

    return (capture(torch, step) if args.work == "captured" else step), torch


def capture(torch, step):
    """A function that replays one step as a CUDA graph. The steps before the capture run on the stream of the capture."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(BLOCK):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def cudagraph_skips():
    """How often torch.compile did not use CUDA graphs; 0 in a valid measurement of the fastest PyTorch."""
    from torch._dynamo.utils import counters
    return counters["inductor"]["cudagraph_skips"]


def work(args):
    """A worker: warms up, then for each line on standard input times its steps and prints a line of JSON."""
    step, torch = make_step(args)
    for _ in range(3 * BLOCK):
        step()
    torch.cuda.synchronize()
    print("ready", flush=True)
    for _ in sys.stdin:
        seconds = []
        for _ in range(args.blocks):
            start = time.perf_counter()
            for _ in range(BLOCK):
                step()
            torch.cuda.synchronize()
            seconds.append((time.perf_counter() - start) / BLOCK)
        print(json.dumps({"images_per_second": args.batch / measure.median(seconds), "torch": torch.__version__,
                          "cudnn": torch.backends.cudnn.version(), "cuda": torch.version.cuda,
                          **({"cudagraph_skips": cudagraph_skips()} if args.work in ("compiled", "max-autotune") else {})}),
              flush=True)


class Failed(Exception):
    """A contender that cannot be measured; says why."""


class Worker:
    """A PyTorch process, which starts and compiles at the first measurement."""

    def __init__(self, variant, precision, dynamics):
        self.command = [sys.executable, __file__, *sys.argv[1:], "--work", variant, "--work-precision", precision,
                        *["--work-dynamics"] * dynamics]
        self.process = None

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the PyTorch process ended with exit code {self.process.wait()}; its message is in the log")
        return line

    def measure(self):
        if not self.process:
            self.process = subprocess.Popen(self.command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.read()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.read())

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def ours(args, name, program, precision, dynamics, toggle=()):
    # A cache of its own: programs that have other plans to choose from would replace each other's.
    plans = args.out.with_suffix("." + name.replace(" ", "_").replace(",", "") + ".plans")
    try:
        output, _, _ = measure.run_program([program, "--device", "cuda", "--precision", precision, "--batch-size", args.batch,
                                            "--steps", args.blocks, "--block", BLOCK, "--warmup", 3,
                                            "--plan_cache", plans, *toggle]
                                           + ["--no-dynamics"] * (not dynamics))
    except SystemExit as error:
        raise Failed(f"{program} ended with an error; its message is in the log") from error
    return json.loads(output)


def contenders_of(args, precision, dynamics):
    """({name: function that measures once}, the PyTorch processes). Baselines come first."""
    def program(name, path, toggle=()):
        return {name: lambda: ours(args, name, path, precision, dynamics, toggle)}

    found = {}
    for name, path in args.baseline:
        found |= program(name, path)
    found |= program("tdds", args.tdds)
    for name, toggle in TOGGLES.items() if args.toggles else ():
        found |= program(f"tdds, {name}", args.tdds, toggle)
    variants = [v for v in args.variants if v != "max-autotune" or precision == "fp16"]
    workers = {f"PyTorch {v}": Worker(v, precision, dynamics) for v in variants}
    return found | {name: worker.measure for name, worker in workers.items()}, list(workers.values())


def summary(measured, failed):
    """{contender: {images_per_second, rounds, about} or {failed}} of those that were measured."""
    about = ("device", "commands", "floor_seconds", "torch", "cudnn", "cuda", "cudagraph_skips")
    return {name: {"failed": failed[name]} if name in failed else
            {"images_per_second": measure.median([m["images_per_second"] for m in runs]),
             "rounds": [m["images_per_second"] for m in runs],
             "about": {k: v for k, v in runs[0].items() if k in about}}
            for name, runs in measured.items() if runs or name in failed}


def compare(args, precision, dynamics, until, save):
    """Interleaved rounds of one precision, until a time. Calls save(summary) after each measurement."""
    contenders, workers = contenders_of(args, precision, dynamics)
    measured, failed = {name: [] for name in contenders}, {}
    for number in range(args.rounds):
        for name, run in contenders.items():
            if name in failed or time.monotonic() > until:
                continue
            try:
                measured[name].append(run())
            except (Failed, BrokenPipeError) as error:
                failed[name] = str(error)
            said = failed.get(name) or f"{measured[name][-1]['images_per_second']:.0f} images/s"
            print(f"{precision}, dynamics {'on' if dynamics else 'off'}, round {number}, {name}: {said}", file=sys.stderr,
                  flush=True)
            save(summary(measured, failed))
    for worker in workers:
        worker.close()


def rows_of(results, batch):
    for key, contenders in results.items():
        base = contenders.get("tdds", {}).get("images_per_second")
        for name, one in contenders.items():
            if "failed" in one:
                yield key, name, "", one["failed"], "", "", ""
                continue
            rate, about = one["images_per_second"], one["about"]
            floor = about.get("floor_seconds")
            yield (key, name, f"{1e3 * batch / rate:.3f}", f"{rate:.0f}", about.get("commands", ""),
                   f"{100 * floor * rate / batch:.0f} %" if floor else "", f"{base / rate:.2f}" if base else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=10, help=f"blocks of {BLOCK} steps per round")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "tf32", "fp16", "bf16"],
                        choices=["fp32", "tf32", "fp16", "bf16"])
    parser.add_argument("--dynamics", nargs="+", default=["on", "off"], choices=["on", "off"])
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=VARIANTS, help="variants of PyTorch")
    parser.add_argument("--toggles", action="store_true", help="also measure tdds with one means of speed turned off at a time")
    parser.add_argument("--baseline", nargs="+", default=[], type=lambda text: text.split("=", 1), metavar="NAME=BENCH_STEP",
                        help="also measure the bench_step of other builds")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no measurement after this time")
    parser.add_argument("--tdds", type=pathlib.Path, default=ROOT / "build/gpu/bench/bench_step")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "runs/compare_gpu.json")
    parser.add_argument("--work", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--work-precision", help=argparse.SUPPRESS)
    parser.add_argument("--work-dynamics", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(args)
    until = time.monotonic() + args.seconds
    card = gpu()
    if bad := [one for one in args.baseline if len(one) != 2]:
        refuse(f"--baseline {bad[0][0]}: write it as NAME=BENCH_STEP")
    for program in [args.tdds, *(pathlib.Path(path) for _, path in args.baseline)]:
        if not program.exists():
            refuse(f"{program} is missing: build it, or give another path with --tdds or --baseline")
    try:
        import torch
        version = torch.__version__
        if not torch.cuda.is_available():
            refuse("this PyTorch finds no GPU: it may be built for the CPU, or for a newer driver")
    except ImportError:
        print(f"PyTorch is not installed for {sys.executable}: tdds is measured alone", file=sys.stderr)
        version, args.variants = None, []
    results = {}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], text=True, capture_output=True).stdout.strip()

    def save(key, measured):
        results[key] = measured
        args.out.write_text(json.dumps({
            "gpu": card, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit, "net": "resnet18", "batch": args.batch, "classes": CLASSES, "rounds": args.rounds,
            "results": results, "environment": measure.environment(torch=version)}, indent=1) + "\n")

    for precision in args.precisions:
        for dynamics in args.dynamics:
            key = f"{precision}, dynamics {dynamics}"
            compare(args, precision, dynamics == "on", until, functools.partial(save, key))
    print(f"\nResNet-18, training, 32x32, batch {args.batch}, {card['name']}, driver {card['driver_version']}\n")
    print(measure.table(("precision", "engine", "ms", "images/s (median)", "commands", "share of the floor",
                         "tdds is faster by"), rows_of(results, args.batch)))
    print(f"\nwritten: {args.out}")


if __name__ == "__main__":
    main()
