#!/usr/bin/env python3
"""Measures what the Recorder of the Python package costs a training loop in PyTorch on the CPU.

First, microseconds a sample of Recorder.update for K classes, over batches of 128 of 50,000 samples. Then training steps of
the CIFAR ResNet-18 at batch 128 (eager, float32, the official optimizer), with and without the package: rounds take turns
in separate processes, so that other work on the machine affects both alike. A round's figure is its median step. Needs the
installed package and torch:

    scripts/test_python.sh --all; bench/with_torch.sh bench/recorder_cost.py [--rounds 5] [--steps 6]
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import torch

import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
SAMPLES, BATCH, CLASSES = 50_000, 128, 100


def batches(classes):
    """(ids, logits, labels) of one epoch, the last short batch left out."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(SAMPLES, generator=generator)
    logits = 4 * torch.randn(SAMPLES, classes, generator=generator)
    labels = torch.randint(classes, (SAMPLES,), generator=generator)
    for begin in range(0, SAMPLES - BATCH + 1, BATCH):
        ids = order[begin:begin + BATCH]
        yield ids, logits[ids].requires_grad_(), labels[ids]


def update_cost(classes, epochs=3):
    """Median and quartiles of microseconds a sample, without the first epoch."""
    import tdds

    seconds, ends = [], []
    with tempfile.TemporaryDirectory() as folder, tdds.Recorder(f"{folder}/d.tdds", SAMPLES, classes,
                                                                torch.arange(SAMPLES) % classes) as recorder:
        for epoch in range(epochs):
            for ids, logits, _ in batches(classes):
                start = time.perf_counter()
                recorder.update(ids, logits)
                if epoch > 0:
                    seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
            recorder.end_epoch()
            ends.append(time.perf_counter() - start)
    seconds.sort()
    quartiles = [1e6 * seconds[len(seconds) * q // 4] / BATCH for q in (1, 2, 3)]
    return {"microseconds_a_sample": quartiles[1], "quartiles": [quartiles[0], quartiles[2]],
            "end_epoch_seconds": measure.median(ends)}


def step_times(recorded, steps):
    """Seconds of each training step, and of the Recorder's part of it."""
    sys.path.insert(0, str(ROOT / "tests/golden"))
    from official_net import make_net
    torch.manual_seed(0)
    net = make_net("resnet18", CLASSES)
    sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(CLASSES, (BATCH,))
    recorder = None
    if recorded:
        import tdds
        folder = tempfile.TemporaryDirectory()
        recorder = tdds.Recorder(f"{folder.name}/d.tdds", SAMPLES, CLASSES)
    whole, updates = [], []
    for step in range(steps + 2):
        start = time.perf_counter()
        logits = net(images)
        before = time.perf_counter()
        if recorder:
            recorder.update(torch.arange(step * BATCH, (step + 1) * BATCH), logits, labels)
        updates.append(time.perf_counter() - before)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        whole.append(time.perf_counter() - start)
    return measure.median(whole[2:]), measure.median(updates[2:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--child", choices=["plain", "recorded"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(*step_times(args.child == "recorded", args.steps))
        return
    result = {"environment": measure.environment(torch=torch.__version__), "threads": torch.get_num_threads(),
              "classes": {}, "step": {"batch": BATCH, "plain": [], "recorded": [], "update": []}}
    rows = []
    for classes in (10, 100, 1000):
        cost = result["classes"][classes] = update_cost(classes)
        rows.append([classes, f"{cost['microseconds_a_sample']:.2f}",
                     " .. ".join(f"{q:.2f}" for q in cost["quartiles"]), f"{cost['end_epoch_seconds']:.3f}"])
    print(measure.table(["K", "us a sample", "quartiles", "end_epoch s"], rows))
    step = result["step"]
    for _ in range(args.rounds):
        for child in ("plain", "recorded"):
            output = subprocess.run([sys.executable, __file__, "--child", child, "--steps", str(args.steps)],
                                    check=True, stdout=subprocess.PIPE, text=True).stdout
            seconds, update = map(float, output.split())
            step[child].append(seconds)
            if child == "recorded":
                step["update"].append(update)
    plain, recorded, update = (measure.median(step[key]) for key in ("plain", "recorded", "update"))
    step["share"] = measure.median([u / s for u, s in zip(step["update"], step["recorded"])])
    print(f"step {plain:.3f} s ({min(step['plain']):.3f} .. {max(step['plain']):.3f}), with the Recorder {recorded:.3f} s "
          f"({min(step['recorded']):.3f} .. {max(step['recorded']):.3f}); update {1e3 * update:.3f} ms, "
          f"{100 * step['share']:.3f} % of the step")
    result["environment"]["load_average_after"] = measure.environment()["load_average"]
    measure.keep("recorder_cost", result)


if __name__ == "__main__":
    main()
