#!/usr/bin/env python3
"""Writes the golden fixtures of the tests with PyTorch on the CPU: `python tests/golden/make_goldens.py [NAME ...]`.

Needs torch, numpy and safetensors, and a few minutes. The fixtures are committed: nobody needs PyTorch to run the
tests. Layouts are PyTorch's (activations NCHW, filters KCRS). Values are computed in float64 from float32 inputs and
stored as float32 unless said otherwise.

Fixtures
--------
    ops.safetensors               <case>.<tensor>: inputs, outputs and gradients of single ops; golden_ops.py lists the
                                  cases. schedule.<case>.{t_max, steps, t, lr} in float64 and int64
    resnet18_narrow_weights       the state_dict that the narrow ResNet-18 starts from
    resnet18_narrow               width 0.125, 10 classes, 4 images of 32x32, 10 steps, every tensor whole
    resnet50_narrow               width 0.125, 10 classes, 4 images of 16x16, 10 steps, the gradients whole
    resnet18_full                 width 1, 100 classes, 2 images of 32x32, 4 steps, summaries
    resnet18_imagenet             ImageNet's stem, width 1, 100 classes, 2 images of 64x64, 1 step, summaries
    resnet50_imagenet             the same, of 4 images
    scores                        kK.{logits, index, confidence, series, score, official_score}; golden_scores.py
    methods                       {features, logits, label, tdds_setting, true_kl} and score.<method>; golden_methods.py

A network's fixture:

    first_batch                   int64 [1]: step t trains on batch number first_batch + t
    input, label                  of step 0: float32 [B,3,H,W], int64 [B]
    logits, loss                  [B,K] of step 0 in training mode; [steps], the mean cross-entropy of every step
    grad.<parameter>              of step 0
    step1.<parameter or buffer>   after the SGD step (lr 0.01, Nesterov momentum 0.9, weight decay 5e-4, all constant)
    eval_logits                   [B,K]: inference after that step on step 0's input
    <tensor>.summary              in place of a parameter of more than 512 elements that is not stored whole: its norm, 8
                                  projections, 256 entries
    <tensor>.yardstick            the largest distance from the stored values over 8 runs of PyTorch in float32 whose
                                  inputs were moved by one ulp: [1], norm of the difference / norm; for `loss` [steps],
                                  absolute; for summaries [3]: of the norm, relative; of the projections, norm of the
                                  difference / (sqrt(8) * norm of the tensor); of the entries, as for a tensor

Kinks. A ReLU whose input rounds to the other side of 0 moves gradients by 1e-3 and everything after by more: float32
runs then differ by what they happen to flip, and no tolerance tells a mistake from bad luck. So the batches are small,
the biases keep most inputs away from 0, and each network starts at the batch, of 64 (of resnet50_imagenet 8), from which in all its steps the
ReLU inputs keep farthest from 0: no float32 run of PyTorch flips any, and all that is stored holds to about 1e-6.

Names
-----
Parameters and buffers carry the official model's names, in its order:

    conv1.weight  bn1.weight  bn1.bias  bn1.running_mean  bn1.running_var  bn1.num_batches_tracked (int64, scalar)
    layer{1..4}.{i}.conv1.weight  .bn1.*  .conv2.weight  .bn2.*   [Bottleneck: .conv3.weight  .bn3.*]
    layer{s}.0.downsample.0.weight (1x1 convolution)  layer{s}.0.downsample.1.* (its batch norm), last in the block;
        ResNet-18/34: in layers 2, 3, 4; ResNet-50/101: in layers 1 (stride 1), 2, 3, 4
    fc.weight  fc.bias

Counter-based values: philox(seed 2024, Purpose::kTest = 99, epoch, index), word 0, u = unit(word), s = 2u - 1
----------------------------------------------------------------------------------------------------------------
All in float64, rounded to float32 once. Weights: epoch = the tensor's place in state_dict order counting parameters
only (conv1.weight 0, bn1.weight 1, bn1.bias 2, ...), index = the element's place in PyTorch's layout (KCRS).

    convolution          s * (sqrt(3) * sqrt(2 / (R*S*K)))
    fc.weight, fc.bias   s * (1 / sqrt(in_features))
    bn weight            s * 0.125 + 1;  running mean 0, variance 1, batches 0
    bn bias of channel c s * 0.125 + 1.5 where c is odd, s * 0.125 - 1.5 where it is even
    the last bn of a residual branch (bn2 of a BasicBlock, bn3 of a Bottleneck): both times 0.25, which keeps float32
                         close to float64 in deep networks

    input of batch n     epoch 1000 + n, index in NCHW:  s * sqrt(3)
    label of batch n     epoch 2000 + n, index = sample: scaled(word, classes)

Summaries of a parameter whose place is i: projection j of the tensor x is the sum over its elements e of +-x_e, + where
bit j of word(epoch 4000 + i, index e) is set; entry m is element scaled(word(epoch 5000 + i, index m), elements).
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
    torch.set_num_threads(1)  # one order of summation
    torch.use_deterministic_algorithms(True)
    for name in sys.argv[1:] or GOLDENS:
        tensors = GOLDENS[name]()
        path = FOLDER / f"{name}.safetensors"
        about = {"made_by": "tests/golden/make_goldens.py", "torch": torch.__version__}
        safetensors.numpy.save_file(tensors, path, metadata={"about": json.dumps(about)})
        print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main()
