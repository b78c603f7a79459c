"""Whole networks: one training step in full, later losses, and the distance of PyTorch's own float32 from float64."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from official_net import counter_weights, make_net, philox, signed_unit, whole

LR, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 5e-4
RUNS = 8  # float32 runs for the yardstick
WHOLE = 512  # tensors up to this size are stored in full in a summary fixture
SAMPLES, PROJECTIONS = 256, 8


@dataclass(frozen=True)
class Case:
    arch: str
    width: float
    classes: int
    images: int
    size: int  # of an image: height and width
    steps: int
    whole: tuple  # kinds of tensors ("grad", "step1") that are stored whole at any size
    imagenet: bool = False  # the stem
    first_batch: int = 0

    def net(self):
        return counter_weights(make_net(self.arch, self.classes, self.width, self.imagenet))

    def batch(self, step):
        shape = (self.images, 3, self.size, self.size)
        number = self.first_batch + step
        x = (signed_unit(1000 + number, int(np.prod(shape))) * np.sqrt(3.0)).astype(np.float32).reshape(shape)
        return torch.from_numpy(x), torch.from_numpy(whole(2000 + number, self.images, self.classes))


def optimizer(net):
    return torch.optim.SGD(net.parameters(), LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True)


def kink_margin(case, enough):
    """The smallest |input| of any ReLU in all steps, in float64. Stops early once it is below `enough`."""
    margins = []
    net = case.net().double().train()
    for module in net.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_pre_hook(lambda _, x: margins.append(x[0].detach().abs().min().item()))
    sgd = optimizer(net)
    for step in range(case.steps):
        x, label = case.batch(step)
        loss = F.cross_entropy(net(x.double()), label)
        if min(margins) < enough:
            break
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    return min(margins)


def away_from_kinks(case, candidates):
    """The case with that first batch, among `candidates`, for which the ReLU inputs stay farthest from 0. If no ReLU flips,
    all results of a float32 engine agree with float64 up to rounding."""
    widest = 0.0
    for first in range(candidates):
        margin = kink_margin(replace(case, first_batch=first), widest)
        if margin > widest:
            widest, best = margin, first
    return replace(case, first_batch=best)


def moved(x, run, step):
    """Every element moved one ulp up or down, by its own random bit."""
    up = (philox(6000 + 100 * run + step, np.arange(x.numel())) & np.uint64(1)).astype(bool).reshape(x.shape)
    return torch.nextafter(x, torch.from_numpy(np.where(up, np.inf, -np.inf).astype(np.float32)))


def train(case, dtype, run=None):
    """Tensors of step 0 and of the state after it, the loss of every step, and eval-mode logits after step 0."""
    net = case.net().to(dtype).train()
    sgd = optimizer(net)
    out, losses = {}, []
    for step in range(case.steps):
        x, label = case.batch(step)
        if run is not None:
            x = moved(x, run, step)
        logits = net(x.to(dtype))
        loss = F.cross_entropy(logits, label)
        sgd.zero_grad()
        loss.backward()
        if step == 0:
            out["logits"] = logits.detach().clone()
            out |= {f"grad.{name}": p.grad.clone() for name, p in net.named_parameters()}
        sgd.step()
        losses.append(loss.item())
        if step == 0:
            out |= {f"step1.{k}": v.clone() for k, v in net.state_dict().items() if "num_batches" not in k}
            net.eval()
            with torch.no_grad():
                out["eval_logits"] = net(x.to(dtype))
            net.train()
    out["loss"] = torch.tensor(losses, dtype=torch.float64)
    return {name: value.double() for name, value in out.items()}


def summary(t, tensor_index):
    """[norm, 8 projections on +-1 vectors, 256 entries]; the formulas are in make_goldens.py."""
    flat = t.reshape(-1).numpy()
    bits = philox(4000 + tensor_index, np.arange(flat.size))
    signs = [((bits >> np.uint64(j)) & np.uint64(1)).astype(np.float64) * 2.0 - 1.0 for j in range(PROJECTIONS)]
    entries = flat[whole(5000 + tensor_index, SAMPLES, flat.size)]
    return np.concatenate([[np.linalg.norm(flat)], [flat @ s for s in signs], entries])


def distance(a, golden):
    return float(np.linalg.norm(a - golden) / np.linalg.norm(golden))


def summary_distance(a, golden):
    """The distances of the norm, the projections (an estimate for the whole tensor) and the entries."""
    norm, p = golden[0], slice(1, 1 + PROJECTIONS)
    return [abs(a[0] - norm) / norm, np.linalg.norm(a[p] - golden[p]) / (np.sqrt(PROJECTIONS) * norm),
            distance(a[1 + PROJECTIONS:], golden[1 + PROJECTIONS:])]


def net_golden(case):
    index = {name: i for i, (name, _) in enumerate(case.net().named_parameters())}
    reference = train(case, torch.float64)
    x, label = case.batch(0)
    golden = {"first_batch": np.array([case.first_batch]), "input": x.numpy(), "label": label.numpy()}
    yardstick, summarised = {}, set()
    for name, value in reference.items():
        kind, _, tensor = name.partition(".")
        if tensor in index and value.numel() > WHOLE and kind not in case.whole:
            summarised.add(name)
            golden[name + ".summary"] = summary(value, index[tensor]).astype(np.float32)
        else:
            golden[name] = value.numpy().astype(np.float32)
    for run in range(RUNS):
        for name, value in train(case, torch.float32, run).items():
            if name in summarised:
                key = name + ".summary"
                d = summary_distance(summary(value, index[name.partition(".")[2]]), golden[key].astype(np.float64))
            elif name == "loss":
                key, d = name, np.abs(value.numpy() - golden[name])
            else:
                key, d = name, [distance(value.numpy(), golden[name].astype(np.float64))]
            yardstick[key] = np.maximum(yardstick.get(key, 0.0), d)
    for key, d in yardstick.items():
        golden[key + ".yardstick"] = np.asarray(d, dtype=np.float32)
    return golden


def initial_weights(case):
    """The state_dict that every run starts from."""
    return {k: v.numpy() for k, v in case.net().state_dict().items()}
