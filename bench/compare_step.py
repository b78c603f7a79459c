#!/usr/bin/env python3
"""Compares the throughput of the CIFAR ResNet-18 with PyTorch's on the CPU. Writes a table and a JSON file.

All variants take turns, round by round, in separate processes, so that other work on the machine affects all alike. The
figure of a round is that of its median step; a speed-up is the median over the rounds of the ratio within each round. A
training step is the official one: forward, cross-entropy, backward, SGD with Nesterov momentum and weight decay, learning
rate. tdds also records the training dynamics, PyTorch does not. With --evaluate a step is only the forward pass. Needs
torch; bench/with_torch.sh makes an environment that has it.

    bench/with_torch.sh bench/compare_step.py [--width 0.25] [--evaluate] [--threads 2] [--rounds 5] [--skip compiled]
                                              [--precision bf16] [--isa avx2]

`eager` is PyTorch as the official script runs it; `channels_last` changes the memory format; `compiled` adds
torch.compile and the fused optimizer. In bf16 PyTorch runs these under autocast. `pure` has the parameters in bf16 too,
including momentum and master weights, with channels_last; it is less accurate than the mixed precision of either side.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

import torch

import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/golden"))
from official_net import make_net  # noqa: E402

BATCH, CLASSES = 100, 100
VARIANTS = ("eager", "channels_last", "compiled", "pure")


def variants(args):
    return [v for v in VARIANTS if v not in args.skip and (v != "pure" or args.precision == "bf16")]


def precision(variant, args):
    """The context that a forward pass runs in."""
    mixed = args.precision == "bf16" and variant != "pure"
    return torch.autocast("cpu", torch.bfloat16) if mixed else contextlib.nullcontext()


def training_step(net, variant, args, x, label):
    sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True,
                          **({"fused": True} if variant == "compiled" else {}))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=100000.0)
    forward = torch.compile(net) if variant == "compiled" else net

    def step():
        with precision(variant, args):
            loss = torch.nn.functional.cross_entropy(forward(x).float(), label)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        schedule.step()

    return step


def evaluation_step(net, variant, args, x):
    net.eval()
    forward = torch.compile(net) if variant == "compiled" else net

    @torch.inference_mode()
    def step():
        with precision(variant, args):
            forward(x)

    return step


def make_step(variant, args):
    """A function that runs one step on random images."""
    torch.manual_seed(0)
    net = make_net("resnet18", CLASSES, width=args.width)
    x, label = torch.randn(BATCH, 3, 32, 32), torch.randint(CLASSES, (BATCH,))
    if variant != "eager":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if variant == "pure":
        net, x = net.to(torch.bfloat16), x.to(torch.bfloat16)
    return evaluation_step(net, variant, args, x) if args.evaluate else training_step(net, variant, args, x, label)


def work(args):
    """A worker: warms up, then for each line on standard input times the steps and prints a line of JSON."""
    torch.set_num_threads(args.threads)
    step = make_step(args.work, args)
    for _ in range(3):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        seconds = []
        for _ in range(args.steps):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"images_per_second": BATCH / measure.median(seconds), "peak_bytes": peak}), flush=True)


class Worker:
    def __init__(self, variant):
        self.process = subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--work", variant], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a PyTorch worker ended early; its message is above")
        return line

    def measure(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.read())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(args):
    command = [ROOT / "build/release/bench/bench_step", "--arch", "resnet18", "--batch-size", BATCH, "--width",
               args.width, "--steps", args.steps, "--threads", args.threads, "--precision", args.precision]
    command += ["--evaluate"] * args.evaluate
    output, _, peak = measure.run_program(command)
    return json.loads(output) | {"peak_bytes": peak}


def compare(args):
    workers = {variant: Worker(variant) for variant in variants(args)}
    contenders = {"tdds": lambda: ours(args)} | {f"PyTorch {v}": w.measure for v, w in workers.items()}
    measured = {name: [] for name in contenders}
    for round_number in range(args.rounds):
        for name, run in contenders.items():
            measured[name].append(run())
            print(f"round {round_number}, {name}: {measured[name][-1]['images_per_second']:.1f} images/s", file=sys.stderr)
    for worker in workers.values():
        worker.close()
    speeds = {name: [m["images_per_second"] for m in runs] for name, runs in measured.items()}
    return {name: {"images_per_second": measure.median(speeds[name]),
                   "tdds_is_faster_by": measure.median([a / b for a, b in zip(speeds["tdds"], speeds[name])]),
                   "rounds": speeds[name], "peak_bytes": max(m["peak_bytes"] for m in runs)}
            for name, runs in measured.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=5, help="steps per round")
    parser.add_argument("--width", type=float, default=1.0, help="channel multiplier of the network")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="precision of both sides")
    parser.add_argument("--isa", choices=("avx2",), help="the widest vector instructions that either side may use")
    parser.add_argument("--evaluate", action="store_true", help="forward passes instead of training steps")
    parser.add_argument("--skip", nargs="*", default=[], choices=VARIANTS)
    parser.add_argument("--work", choices=VARIANTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(args)
    if args.isa:
        os.environ.update(TDDS_CPU_ISA=args.isa, ATEN_CPU_CAPABILITY=args.isa, ONEDNN_MAX_CPU_ISA=args.isa.upper(),
                          MKL_ENABLE_INSTRUCTIONS=args.isa.upper())
    results = compare(args)
    rows = [(name, f"{r['images_per_second']:.1f}", f"{r['tdds_is_faster_by']:.2f}",
             f"{r['peak_bytes'] / 1e6:.0f}") for name, r in results.items()]
    mode = "evaluation" if args.evaluate else "training"
    print(f"\nResNet-18, {mode}, width {args.width}, 32x32, batch {BATCH}, {args.threads} threads, {args.precision}, "
          f"{measure.cpu_model()}{', limited to ' + args.isa if args.isa else ''}\n")
    print(measure.table(("engine", "images/s (median)", "tdds is faster by", "peak MB"), rows))
    limit = "_" + args.isa if args.isa else ""
    name = f"step_{mode}_{args.precision}_width{args.width}_{args.threads}threads{limit}_debian{measure.debian()}"
    measure.keep(name, {"mode": mode, "precision": args.precision, "width": args.width, "batch": BATCH,
                        "threads": args.threads, "steps": args.steps, "limited_to": args.isa,
                        "results": results, "environment": measure.environment(torch=torch.__version__)})


if __name__ == "__main__":
    main()
