#!/usr/bin/env python3
"""CIFAR-100 in plain PyTorch: a training with a Recorder, TDDS scores, and a training on the kept 30 %.

pip install torch torchvision
python python/examples/pytorch_cifar.py [FOLDER]     FOLDER: default: runs/pytorch_cifar
"""

import sys

import torch
import torchvision
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import v2 as transforms

import tdds

EPOCHS, CLASSES, BATCH = 90, 100, 128
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NORMALISE = transforms.Normalize((0.507, 0.487, 0.441), (0.267, 0.256, 0.276))
TENSOR = [transforms.ToImage(), transforms.ToDtype(torch.float32, scale=True), NORMALISE]
AUGMENT = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(32, padding=4)]


class WithIds(Dataset):
    """A data set that also yields each sample's id."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        return *self.data[i], i


def train(data, recorder=None):
    net = torchvision.models.resnet18(num_classes=CLASSES)
    net.conv1, net.maxpool = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False), torch.nn.Identity()
    net.to(DEVICE)
    loader = DataLoader(WithIds(data), BATCH, shuffle=True, num_workers=4)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for images, labels, ids in loader:
            logits = net(images.to(DEVICE))
            if recorder:
                recorder.update(ids, logits, labels)
            loss = torch.nn.functional.cross_entropy(logits, labels.to(DEVICE))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if recorder:
            recorder.end_epoch()
    return net.eval()


folder = sys.argv[1] if len(sys.argv) > 1 else "runs/pytorch_cifar"
cifar = torchvision.datasets.CIFAR100
whole = cifar("data", train=True, download=True, transform=transforms.Compose(AUGMENT + TENSOR))
test = DataLoader(cifar("data", train=False, transform=transforms.Compose(TENSOR)), 500)
with tdds.Recorder(f"{folder}/dynamics.tdds", len(whole), CLASSES) as recorder:
    if recorder.epoch > 0:  # this script saves no checkpoints, so it cannot continue
        sys.exit(f"{folder} holds a recording already; remove it or give another folder")
    train(whole, recorder)
kept = tdds.select(tdds.score(folder, T=EPOCHS, J=10), prune=0.7)  # leaves out 70 %
net = train(Subset(whole, kept.tolist()))
with torch.no_grad():
    hits = sum((net(x.to(DEVICE)).argmax(1).cpu() == y).sum().item() for x, y in test)
print(f"trained on {len(kept)} of {len(whole)} samples: {100 * hits / 10000:.2f} % on the test images")
