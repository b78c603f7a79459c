"""Single ops, in float64 from float32 inputs, kept away from the ReLU's kink."""

import math

import numpy as np
import torch
import torch.nn.functional as F

CONVOLUTIONS = {  # B, C, H, W, K, R, S, stride, padding
    "conv3x3_s1": (2, 5, 7, 6, 4, 3, 3, 1, 1),
    "conv3x3_s2": (2, 4, 8, 8, 6, 3, 3, 2, 1),
    "conv3x3_s2_odd": (2, 4, 7, 9, 6, 3, 3, 2, 1),
    "conv1x1_s1": (3, 8, 5, 5, 6, 1, 1, 1, 0),
    "conv1x1_s2": (3, 8, 6, 6, 5, 1, 1, 2, 0),
    "conv7x7_s2": (2, 3, 14, 14, 8, 7, 7, 2, 3),
    "conv3x3_wide": (2, 64, 8, 8, 64, 3, 3, 1, 1),
}
SCHEDULES = {  # lr, T_max, the steps that run
    "full": (0.1, 200 * (50000 / 100), 200 * 500),
    "batch_128": (0.1, 200 * (50000 / 128), 200 * 391),
    "subset": (0.1, 200 * math.ceil(50000 * (1 - 0.7) / 100), 200 * 150),
    "short": (0.05, 3 * (1000 / 128), 3 * 8),
}


class Values:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape, scale=1.0, shift=0.0):
        values = self.rng.normal(shift, scale, shape).astype(np.float32)
        return torch.from_numpy(values).double().requires_grad_()


def store(golden, prefix, **tensors):
    for name, value in tensors.items():
        golden[f"{prefix}.{name}"] = value.detach().numpy().astype(np.float32)


def gradients(y, dy, *inputs):
    return torch.autograd.grad(y, inputs, dy)


def convolutions(golden, make):
    for name, (b, c, h, w, k, r, s, stride, padding) in CONVOLUTIONS.items():
        x, f = make(b, c, h, w), make(k, c, r, s, scale=1.0 / math.sqrt(c * r * s))
        y = F.conv2d(x, f, stride=stride, padding=padding)
        dy = make(*y.shape)
        dx, dw = gradients(y, dy, x, f)
        store(golden, name, x=x, w=f, y=y, dy=dy, dx=dx, dw=dw)


def batch_norm(golden, name, make, shape, relu, with_residual, scale=1.0, shift=0.0):
    """eps 1e-5, momentum 0.1. With a ReLU, the residual keeps its inputs away from 0."""
    channels = shape[1]
    x, weight, bias = make(*shape, scale=scale, shift=shift), make(channels), make(channels)
    mean, var = make(channels).detach(), make(channels).detach().abs() + 0.5
    mean, var = mean.float().double(), var.float().double()
    running_mean, running_var = mean.clone(), var.clone()
    residual = make(*shape) if with_residual else None
    inference = F.batch_norm(x, mean, var, weight, bias, False, 0.1, 1e-5)
    pre = F.batch_norm(x, running_mean, running_var, weight, bias, True, 0.1, 1e-5)
    if with_residual:
        for _ in range(3):  # both the training and the inference output move with the residual
            for out in (pre, inference):
                near = ((out + residual).abs() < 0.05).double()
                residual = (residual + 0.25 * near).detach().float().double().requires_grad_()
        pre, inference = pre + residual, inference + residual
        store(golden, name, residual=residual)
    if relu:
        assert min(pre.abs().min(), inference.abs().min()) > 0.02, name
    y = torch.relu(pre) if relu else pre
    dy = make(*shape)
    dx, dweight, dbias = torch.autograd.grad(y, (x, weight, bias), dy, retain_graph=True)
    if with_residual:
        store(golden, name, dresidual=gradients(y, dy, residual)[0])
    batch_mean = x.mean(dim=(0, 2, 3))
    inv_std = 1.0 / torch.sqrt(x.var(dim=(0, 2, 3), unbiased=False) + 1e-5)
    store(golden, name, x=x, weight=weight, bias=bias, running_mean=mean, running_var=var, mean=batch_mean,
          inv_std=inv_std, y=y, running_mean_after=running_mean, running_var_after=running_var, dy=dy, dx=dx,
          dweight=dweight, dbias=dbias, inference=torch.relu(inference) if relu else inference)


def head(golden, make):
    for name, (b, c, k) in {"linear10": (5, 24, 10), "linear100": (16, 64, 100)}.items():
        x, w, bias = make(b, c), make(k, c, scale=1.0 / math.sqrt(c)), make(k)
        y = F.linear(x, w, bias)
        dy = make(b, k)
        dx, dw, db = gradients(y, dy, x, w, bias)
        store(golden, name, x=x, w=w, b=bias, y=y, dy=dy, dx=dx, dw=dw, db=db)
    x = make(3, 8, 4, 4)
    y = F.adaptive_avg_pool2d(x, 1).flatten(1)
    dy = make(3, 8)
    store(golden, "pool", x=x, y=y, dy=dy, dx=gradients(y, dy, x)[0])


def cross_entropy(golden, make):
    """Rows from low to the highest confidence of float32 logits; `weighted` is the gradient of the mean loss times 0.37."""
    for classes in (10, 100):
        rows = 24
        z = make(rows, classes)
        label = torch.from_numpy(make.rng.integers(classes, size=rows))
        with torch.no_grad():
            z[torch.arange(rows), label] += torch.arange(rows).double() - 3.0
        z = z.detach().float().double().requires_grad_()
        loss = F.cross_entropy(z, label, reduction="none")
        # The gradient p - onehot(y), with 1 - p_y as a sum of the others: no cancellation.
        p = torch.softmax(z, dim=1).detach()
        others = p.clone()
        others[torch.arange(rows), label] = 0.0
        dlogits = others.clone()
        dlogits[torch.arange(rows), label] = -others.sum(dim=1)
        assert torch.allclose(dlogits / rows, gradients(loss.mean(), None, z)[0], atol=1e-15)
        name = f"cross_entropy{classes}"
        store(golden, name, logits=z, loss=loss, dlogits=dlogits / rows, weighted=0.37 * dlogits / rows)
        golden[name + ".label"] = label.numpy()


def sgd(golden, make):
    """Three steps with three learning rates, momentum 0.9, weight decay 5e-4; v is the momentum buffer."""
    lrs = [0.1, 0.0625, 0.03125]
    w0, grads = make(37).detach(), [make(37).detach() for _ in lrs]
    for name, nesterov in (("sgd_nesterov", True), ("sgd_plain", False)):
        w = w0.clone().requires_grad_()
        optimizer = torch.optim.SGD([w], lrs[0], momentum=0.9, weight_decay=5e-4, nesterov=nesterov)
        for step, (lr, g) in enumerate(zip(lrs, grads)):
            optimizer.param_groups[0]["lr"] = lr
            w.grad = g.clone()
            optimizer.step()
            store(golden, name, **{f"w{step + 1}": w, f"v{step + 1}": optimizer.state[w]["momentum_buffer"]})
        store(golden, name, w0=w0, g=torch.stack(grads), lr=torch.tensor(lrs))


def schedules(golden):
    """lr_t at some steps, float64. CosineAnnealingLR computes it by recursion, which must agree with the formula."""
    for name, (lr, t_max, steps) in SCHEDULES.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=t_max)
        optimizer.step()
        keep = sorted({0, 1, 2, 7, steps // 3, steps // 2, steps - 24, steps - 2, steps - 1})
        by_torch = []
        for step in range(steps):
            if step in keep:
                by_torch.append(scheduler.get_last_lr()[0])
            scheduler.step()
        formula = [0.5 * lr * (1.0 + math.cos(math.pi * t / t_max)) for t in keep]
        assert np.allclose(by_torch, formula, rtol=1e-7, atol=1e-10), (name, by_torch, formula)
        golden[f"schedule.{name}.t_max"] = np.array([t_max], dtype=np.float64)
        golden[f"schedule.{name}.steps"] = np.array([steps])
        golden[f"schedule.{name}.t"] = np.array(keep)
        golden[f"schedule.{name}.lr"] = np.array(formula)


def ops_golden():
    golden, make = {}, Values(7)
    convolutions(golden, make)
    batch_norm(golden, "bn", make, (4, 8, 5, 5), relu=False, with_residual=False)
    batch_norm(golden, "bn_residual_relu", make, (4, 8, 5, 5), relu=True, with_residual=True)
    batch_norm(golden, "bn_shifted", make, (4, 6, 6, 6), relu=False, with_residual=False, scale=0.25, shift=25.0)
    head(golden, make)
    cross_entropy(golden, make)
    sgd(golden, make)
    schedules(golden)
    return golden
