#!/usr/bin/env python3
"""Compares the throughput of the CIFAR ResNet-18 with PyTorch's on one GPU. Writes a table and a JSON file.

For every precision, with the training dynamics recorded on both sides and on neither, it measures tdds, typical PyTorch
(eager, channels_last, AMP, fused optimizer), and the fastest PyTorch (additionally torch.compile with CUDA graphs). They
take turns, round by round, on the same card, so that changing clocks and other work affect all alike. The figure of a round
is that of its median block of steps; the table has the median of the rounds. A step of tdds gathers and augments its images
from the data set on the GPU; PyTorch does not and trains on one batch of random images. Both sides choose cuDNN's plans by
timing them before the measurement.

    python3 bench/compare_gpu.py [--out FILE] [--rounds 7] [--precisions fp32 tf32 fp16 bf16]
                                [--dynamics on off] [--tdds build/gpu/bench/bench_step]

It needs a GPU and an installed torch; nothing is downloaded.
"""

import argparse
import datetime
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
VARIANTS = ("eager", "compiled")


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

    if args.work == "compiled":
        forward = torch.compile(forward, mode="reduce-overhead")

    def step():
        loss = forward(x, label)
        sgd.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(sgd)
        scaler.update()

    return step, torch


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
                          **({"cudagraph_skips": cudagraph_skips()} if args.work == "compiled" else {})}), flush=True)


class Worker:
    def __init__(self, variant, precision, dynamics):
        self.process = subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--work", variant, "--work-precision",
                                         precision, *["--work-dynamics"] * dynamics], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            refuse("a PyTorch worker ended early; its message is above")
        return line

    def measure(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.read())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(args, precision, dynamics):
    output, _, _ = measure.run_program([args.tdds, "--device", "cuda", "--precision", precision, "--batch-size", args.batch,
                                        "--steps", args.blocks, "--block", BLOCK, "--warmup", 3,
                                        "--plan_cache", args.out.with_suffix(".plans")]
                                       + ["--no-dynamics"] * (not dynamics))
    return json.loads(output)


def compare(args, precision, dynamics):
    """Interleaved rounds of one precision: {contender: {images_per_second, rounds, ...}}."""
    workers = {f"PyTorch {v}": Worker(v, precision, dynamics) for v in args.variants}
    contenders = {"tdds": lambda: ours(args, precision, dynamics)} | {n: w.measure for n, w in workers.items()}
    measured = {name: [] for name in contenders}
    for number in range(args.rounds):
        for name, run in contenders.items():
            measured[name].append(run())
            print(f"{precision}, dynamics {'on' if dynamics else 'off'}, round {number}, {name}: "
                  f"{measured[name][-1]['images_per_second']:.0f} images/s", file=sys.stderr)
    for worker in workers.values():
        worker.close()
    return {name: {"images_per_second": measure.median([m["images_per_second"] for m in runs]),
                   "rounds": [m["images_per_second"] for m in runs],
                   "about": {k: v for k, v in runs[0].items() if k in ("device", "torch", "cudnn", "cuda", "cudagraph_skips")}}
            for name, runs in measured.items()}


def rows_of(results):
    for key, contenders in results.items():
        base = contenders["tdds"]["images_per_second"]
        for name, one in contenders.items():
            yield key, name, f"{one['images_per_second']:.0f}", f"{base / one['images_per_second']:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=10, help=f"blocks of {BLOCK} steps per round")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "tf32", "fp16", "bf16"],
                        choices=["fp32", "tf32", "fp16", "bf16"])
    parser.add_argument("--dynamics", nargs="+", default=["on", "off"], choices=["on", "off"])
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=VARIANTS, help="variants of PyTorch")
    parser.add_argument("--tdds", type=pathlib.Path, default=ROOT / "build/gpu/bench/bench_step")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "runs/compare_gpu.json")
    parser.add_argument("--work", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--work-precision", help=argparse.SUPPRESS)
    parser.add_argument("--work-dynamics", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(args)
    card = gpu()
    try:
        import torch
    except ImportError:
        refuse(f"PyTorch is not installed for {sys.executable}")
    if not torch.cuda.is_available():
        refuse("this PyTorch finds no GPU: it may be built for the CPU, or for a newer driver")
    if not args.tdds.exists():
        refuse(f"{args.tdds} is missing: build it, or give its path with --tdds")
    results = {}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for precision in args.precisions:
        for dynamics in args.dynamics:
            results[f"{precision}, dynamics {dynamics}"] = compare(args, precision, dynamics == "on")
            # Written after each comparison, so that an interrupted run keeps its results.
            commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], text=True, capture_output=True).stdout.strip()
            args.out.write_text(json.dumps({
                "gpu": card, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "commit": commit, "net": "resnet18", "batch": args.batch, "classes": CLASSES, "rounds": args.rounds,
                "results": results, "environment": measure.environment(torch=torch.__version__)}, indent=1) + "\n")
    print(f"\nResNet-18, training, 32x32, batch {args.batch}, {card['name']}, driver {card['driver_version']}\n")
    print(measure.table(("precision", "engine", "images/s (median)", "tdds is faster by"), rows_of(results)))
    print(f"\nwritten: {args.out}")


if __name__ == "__main__":
    main()
