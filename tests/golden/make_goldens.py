#!/usr/bin/env python3
"""Writes the golden fixtures of the tests with PyTorch on the CPU: `python tests/golden/make_goldens.py [NAME ...]`.

Needs torch, numpy and safetensors, and takes a few minutes. The fixtures are committed, so the tests do not need PyTorch.
Layouts are PyTorch's (activations NCHW, filters KCRS). Values are computed in float64 from float32 inputs and stored as
float32 unless stated otherwise.

Fixtures
--------
    ops.safetensors               <case>.<tensor>: inputs, outputs and gradients of single ops; golden_ops.py lists the
                                  cases. schedule.<case>.{t_max, steps, t, lr} in float64 and int64
    resnet18_narrow_weights       the state_dict that the narrow ResNet-18 starts from
    resnet18_narrow               width 0.125, 10 classes, 4 images of 32x32, 10 steps, all tensors in full
    resnet50_narrow               width 0.125, 10 classes, 4 images of 16x16, 10 steps, gradients in full
    resnet18_full                 width 1, 100 classes, 2 images of 32x32, 4 steps, summaries
    resnet18_imagenet             ImageNet's stem, width 1, 100 classes, 2 images of 64x64, 1 step, summaries
    resnet50_imagenet             the same with 4 images
    scores                        kK.{logits, index, confidence, series, score, official_score}; golden_scores.py
    methods                       {features, logits, label, tdds_setting, true_kl} and score.<method>; golden_methods.py

A network's fixture:

    first_batch                   int64 [1]: step t trains on batch number first_batch + t
    input, label                  of step 0: float32 [B,3,H,W], int64 [B]
    logits, loss                  [B,K] of step 0 in training mode; [steps], the mean cross-entropy of every step
    grad.<parameter>              of step 0
    step1.<parameter or buffer>   after the SGD step (lr 0.01, Nesterov momentum 0.9, weight decay 5e-4, all constant)
    eval_logits                   [B,K]: inference after that step on step 0's input
    <tensor>.summary              replaces a parameter of more than 512 elements that is not stored in full: its norm, 8
                                  projections, 256 entries
    <tensor>.yardstick            the largest distance from the stored values over 8 runs of PyTorch in float32 whose
                                  inputs were moved by one ulp: [1], norm of the difference / norm; for `loss` [steps],
                                  absolute; for summaries [3]: of the norm, relative; of the projections, norm of the
                                  difference / (sqrt(8) * norm of the tensor); of the entries, as for a tensor

Kinks. A ReLU whose input rounds to the other side of 0 changes gradients by 1e-3 and everything after by more. Float32
runs then differ by the ReLUs that happen to flip, and no tolerance separates a mistake from chance. So the batches are
small, the biases keep most inputs away from 0, and each network starts at that batch among 64 (8 for resnet50_imagenet)
for which the ReLU inputs stay farthest from 0 in all steps. No float32 run of PyTorch then flips a ReLU, and all stored
values are accurate to about 1e-6.

Names
-----
Parameters and buffers have the names of the official model, in its order:

    conv1.weight  bn1.weight  bn1.bias  bn1.running_mean  bn1.running_var  bn1.num_batches_tracked (int64, scalar)
    layer{1..4}.{i}.conv1.weight  .bn1.*  .conv2.weight  .bn2.*   [Bottleneck: .conv3.weight  .bn3.*]
    layer{s}.0.downsample.0.weight (1x1 convolution)  layer{s}.0.downsample.1.* (its batch norm), last in the block;
        ResNet-18/34: in layers 2, 3, 4; ResNet-50/101: in layers 1 (stride 1), 2, 3, 4
    fc.weight  fc.bias

Counter-based values: philox(seed 2024, Purpose::kTest = 99, epoch, index), word 0, u = unit(word), s = 2u - 1
----------------------------------------------------------------------------------------------------------------
Computed in float64 and rounded to float32 once. Weights: epoch = the tensor's position in state_dict order counting only
parameters (conv1.weight 0, bn1.weight 1, bn1.bias 2, ...), index = the element's position in PyTorch's layout (KCRS).

    convolution          s * (sqrt(3) * sqrt(2 / (R*S*K)))
    fc.weight, fc.bias   s * (1 / sqrt(in_features))
    bn weight            s * 0.125 + 1;  running mean 0, variance 1, batches 0
    bn bias of channel c s * 0.125 + 1.5 for odd c, s * 0.125 - 1.5 for even c
    the last bn of a residual branch (bn2 of a BasicBlock, bn3 of a Bottleneck): both times 0.25, which keeps float32
                         close to float64 in deep networks

    input of batch n     epoch 1000 + n, index in NCHW:  s * sqrt(3)
    label of batch n     epoch 2000 + n, index = sample: scaled(word, classes)

Summaries of a parameter at position i: projection j of the tensor x is the sum over its elements e of +-x_e, with + if bit
j of word(epoch 4000 + i, index e) is set; entry m is element scaled(word(epoch 5000 + i, index m), elements).
"""

import json
import pathlib
import sys

import safetensors.numpy
import torch

from golden_methods import methods_golden
from golden_nets import Case, away_from_kinks, initial_weights, net_golden
from golden_ops import ops_golden
from golden_scores import scores_golden

FOLDER = pathlib.Path(__file__).parent
RESNET18_NARROW = Case("resnet18", 0.125, 10, images=4, size=32, steps=10, whole=("grad", "step1"))
RESNET50_NARROW = Case("resnet50", 0.125, 10, images=4, size=16, steps=10, whole=("grad",))
RESNET18_FULL = Case("resnet18", 1.0, 100, images=2, size=32, steps=4, whole=())
RESNET18_IMAGENET = Case("resnet18", 1.0, 100, images=2, size=64, steps=1, whole=(), imagenet=True)
RESNET50_IMAGENET = Case("resnet50", 1.0, 100, images=4, size=64, steps=1, whole=(), imagenet=True)
CANDIDATES = 64

GOLDENS = {
    "ops": ops_golden,
    "resnet18_narrow_weights": lambda: initial_weights(RESNET18_NARROW),
    "resnet18_narrow": lambda: net_golden(away_from_kinks(RESNET18_NARROW, CANDIDATES)),
    "resnet50_narrow": lambda: net_golden(away_from_kinks(RESNET50_NARROW, CANDIDATES)),
    "resnet18_full": lambda: net_golden(away_from_kinks(RESNET18_FULL, CANDIDATES)),
    "resnet18_imagenet": lambda: net_golden(away_from_kinks(RESNET18_IMAGENET, CANDIDATES)),
    "resnet50_imagenet": lambda: net_golden(away_from_kinks(RESNET50_IMAGENET, 8)),
    "scores": scores_golden,
    "methods": methods_golden,
}


def main():
    torch.set_num_threads(1)  # for a fixed order of summation
    torch.use_deterministic_algorithms(True)
    for name in sys.argv[1:] or GOLDENS:
        tensors = GOLDENS[name]()
        path = FOLDER / f"{name}.safetensors"
        about = {"made_by": "tests/golden/make_goldens.py", "torch": torch.__version__}
        safetensors.numpy.save_file(tensors, path, metadata={"about": json.dumps(about)})
        print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main()
