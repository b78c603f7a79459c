#!/usr/bin/env python3
"""Plain PyTorch: a training with a Recorder, TDDS scores, and a training on the kept 30 %.

python python/examples/pytorch_cifar.py drawn|cifar100 EPOCHS FOLDER     cifar100 needs torchvision
"""

import sys

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

import tdds
from tdds.torch import Indexed, KeptSubset

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def cifar100(train: bool) -> Dataset:
    from torchvision.datasets import CIFAR100
    from torchvision.transforms import v2

    steps = [v2.RandomHorizontalFlip(), v2.RandomCrop(32, padding=4)] if train else []
    steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)]
    return CIFAR100("data", train, v2.Compose(steps), download=True)


def drawn(train: bool) -> Dataset:  # each of 100 classes has its own coloured blocks, in much noise
    blocks = torch.randn(100, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(4000 if train else 1000) % 100
    images = torch.nn.functional.interpolate(blocks[labels], scale_factor=8)
    return TensorDataset(images + 4 * torch.randn_like(images), labels)


def train(data: Dataset, epochs: int, recorder: tdds.Recorder | None = None) -> torch.nn.Module:
    net = torch.nn.Sequential()  # any network
    for i, o in [(3, 32), (32, 64), (64, 128)]:
        net.extend([torch.nn.Conv2d(i, o, 3, 2, 1), torch.nn.BatchNorm2d(o), torch.nn.ReLU()])
    net.extend([torch.nn.Flatten(), torch.nn.Linear(128 * 4 * 4, 100)]).to(DEVICE)
    optimizer = torch.optim.SGD(net.parameters(), 0.02, 0.9, weight_decay=5e-4, nesterov=True)
    for _ in range(epochs):
        for images, labels, ids in DataLoader(Indexed(data), 100, shuffle=True, num_workers=2):
            logits = net(images.to(DEVICE))
            if recorder:
                recorder.update(ids, logits, labels)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits, labels.to(DEVICE)).backward()
            optimizer.step()
        if recorder:
            recorder.end_epoch()
    return net.eval()


dataset, epochs, folder = globals()[sys.argv[1]], int(sys.argv[2]), sys.argv[3]
whole, test = dataset(train=True), dataset(train=False)
with tdds.Recorder(f"{folder}/dynamics.tdds", len(whole), 100) as recorder:
    nets = {"all": train(whole, epochs, recorder)}
mask, _ = tdds.write_mask(folder, tdds.score(folder, T=epochs, J=epochs // 2), name="tdds")
nets["the kept 30 %"] = train(KeptSubset(whole, mask, prune=0.7), epochs)
for name, net in nets.items():
    with torch.no_grad():
        right = sum(int((net(x.to(DEVICE)).argmax(1).cpu() == y).sum()) for x, y in DataLoader(test, 500))
    print(f"trained on {name}: {100 * right / len(test):.1f} % of {len(test)} test images are right")
