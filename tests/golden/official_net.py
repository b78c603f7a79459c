"""The networks of the official TDDS code in PyTorch, with the same parameter names, and counter-based weights.

Written from the structure of the published model (https://github.com/zhangxin-xd/Dataset-Pruning-TDDS, models/), so
that `load_state_dict(..., strict=True)` accepts its checkpoints. A width multiplier scales every channel count.

All random values are functions of (seed, purpose, epoch, index) by Philox 4x32-10, as in kernels/numerics/philox.h;
make_goldens.py lists the formulas.
"""

import math

import numpy as np
import torch
from torch import nn

SEED = 2024
PURPOSE_TEST = 99


def philox(epoch, index, seed=SEED, purpose=PURPOSE_TEST):
    """Word 0 of kernels/numerics/philox.h's philox(seed, purpose, epoch, index) for an array of indices, as uint64."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    index = np.asarray(index, dtype=np.uint64)
    c0, c1 = index & low, index >> half
    c2 = np.full_like(c0, epoch)
    c3 = np.full_like(c0, purpose)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c0
        p1 = np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> half) ^ c1 ^ np.uint64(k0), (p0 >> half) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & low, p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0


def signed_unit(epoch, count):
    """2u - 1 with u = unit(word 0) of philox(2024, kTest, epoch, i), i = 0 .. count-1: exact in float64."""
    word = philox(epoch, np.arange(count, dtype=np.uint64))
    return 2.0 * ((word.astype(np.float64) + 0.5) / 4294967296.0) - 1.0


def whole(epoch, count, n):
    """kernels/numerics/philox.h's scaled(word 0, n): integers in 0 .. n-1."""
    word = philox(epoch, np.arange(count, dtype=np.uint64))
    return ((word * np.uint64(n)) >> np.uint64(32)).astype(np.int64)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inplanes, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU()
        self.downsample = projection(inplanes, planes, stride)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inplanes, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU()
        self.downsample = projection(inplanes, 4 * planes, stride)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def projection(inplanes, outplanes, stride):
    """The shortcut if the shape changes: `downsample.0` is the convolution, `downsample.1` its batch norm."""
    if stride == 1 and inplanes == outplanes:
        return None
    return nn.Sequential(nn.Conv2d(inplanes, outplanes, 1, stride, bias=False), nn.BatchNorm2d(outplanes))


class ResNet(nn.Module):
    """CIFAR stem: 3x3 stride 1, no max-pool. ImageNet stem, as in torchvision: 7x7 stride 2, max-pool 3x3 stride 2."""

    def __init__(self, block, layers, num_classes, width, imagenet):
        super().__init__()
        planes = [int(base * width) for base in (64, 128, 256, 512)]
        self.conv1 = nn.Conv2d(3, planes[0], *((7, 2, 3) if imagenet else (3, 1, 1)), bias=False)
        self.bn1 = nn.BatchNorm2d(planes[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        inplanes = planes[0]
        for stage in range(4):
            blocks = []
            for i in range(layers[stage]):
                blocks.append(block(inplanes, planes[stage], 2 if stage > 0 and i == 0 else 1))
                inplanes = planes[stage] * block.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inplanes, num_classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))


ARCHITECTURES = {
    "resnet18": (BasicBlock, [2, 2, 2, 2]),
    "resnet34": (BasicBlock, [3, 4, 6, 3]),
    "resnet50": (Bottleneck, [3, 4, 6, 3]),
    "resnet101": (Bottleneck, [3, 4, 23, 3]),
}


def make_net(arch, num_classes, width=1.0, imagenet=False):
    block, layers = ARCHITECTURES[arch]
    return ResNet(block, layers, num_classes, width, imagenet)


def counter_weights(net):
    """Fills every parameter by the formula in make_goldens.py; running statistics stay at 0, 1 and 0 batches."""
    last_norms = {f"{name}.bn{3 if isinstance(block, Bottleneck) else 2}"
                  for name, block in net.named_modules() if isinstance(block, (BasicBlock, Bottleneck))}
    with torch.no_grad():
        for tensor_index, (name, p) in enumerate(net.named_parameters()):
            u = signed_unit(tensor_index, p.numel())
            if p.dim() == 4:
                value = u * (math.sqrt(3.0) * math.sqrt(2.0 / (p.shape[0] * p.shape[2] * p.shape[3])))
            elif name.startswith("fc."):
                value = u * (1.0 / math.sqrt(net.fc.in_features))
            else:
                constant = np.where(np.arange(p.numel()) % 2, 1.5, -1.5) if name.endswith("bias") else 1.0
                value = (u * 0.125 + constant) * (0.25 if name.rpartition(".")[0] in last_norms else 1.0)
            p.copy_(torch.from_numpy(value.astype(np.float32)).reshape(p.shape))
    return net
