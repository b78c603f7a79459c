#!/usr/bin/env python3
"""Writes the golden fixtures of the tests with PyTorch on the CPU: `python tests/golden/make_goldens.py`.

Needs torch, numpy and safetensors. The fixtures are committed; nobody needs PyTorch to run the tests. Activations
are NCHW and filters KCRS, as PyTorch has them. Values are computed in float64 from float32 inputs and stored as
float32 unless said otherwise.

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

    convolution        s * (sqrt(3) * sqrt(2 / (R*S*K)))
    fc.weight, fc.bias s * (1 / sqrt(in_features))
    bn weight, bias    s * 0.125 + 1,  s * 0.125          running mean 0, variance 1, batches 0

    input of step t    epoch 1000 + t, index in NCHW:  s * sqrt(3)
    label of step t    epoch 2000 + t, index = sample: scaled(word, classes)
"""
