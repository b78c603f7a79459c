"""Every scoring method on one random run, by its textbook formula in float64. Written from the papers (listed in
tdds/methods) and independent of the code under test. GraNd takes the gradient of the last layer from autograd."""

import numpy as np
import torch

EPOCHS, SAMPLES, CLASSES, FEATURES = 34, 60, 5, 7
TDDS = (20, 5, 0.9)  # T, J, decay
EPS = 1e-8


def run(seed):
    """Features [T, N, F] and logits [T, N, K] float32, labels [N]: a linear layer that learns, on features that move.

    In every class one sample has the features of another class (it is never learned); the others range from ambiguous to
    confident.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(CLASSES, size=SAMPLES)
    seen = label.copy()
    seen[:5] = (label[:5] + 1) % CLASSES
    centre = rng.normal(0, 1, (CLASSES, FEATURES))
    own = rng.uniform(0.1, 1.5, (SAMPLES, 1)) * rng.normal(0, 1, (SAMPLES, FEATURES))
    features, logits = [], []
    for t in range(EPOCHS):
        h = centre[seen] + own + 0.4 * rng.normal(0, 1, (SAMPLES, FEATURES))
        weight = (t + 1) / 12 * (centre + 0.2 * rng.normal(0, 1, centre.shape))
        features.append(h.astype(np.float32))
        logits.append((h @ weight.T + 0.1 * rng.normal(0, 1, CLASSES)).astype(np.float32))
    return np.array(features), np.array(logits), label


def last_layer_gradient_norm(features, logits, label):
    """|| d loss / d (W, b) || of each sample in one epoch, [N]."""
    norms = []
    for h, z, y in zip(torch.tensor(features).double(), torch.tensor(logits).double(), label):
        weight = torch.zeros(CLASSES, FEATURES, dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(CLASSES, dtype=torch.float64, requires_grad=True)
        loss = torch.nn.functional.cross_entropy((z + weight @ h + bias)[None], torch.tensor([y]))
        loss.backward()
        norms.append(torch.sqrt((weight.grad ** 2).sum() + (bias.grad ** 2).sum()))
    return torch.stack(norms).numpy()


def tdds(d, T, J, decay):
    total = 0
    for k in range(T - J + 1):
        window = d[k:k + J - 1]
        total = total + decay * (1 - decay) ** (T - J - k) * np.linalg.norm(window - window.mean(0), axis=0)
    return total


def windows(p, J):
    return np.array([p[k:k + J] for k in range(len(p) - J + 1)])


def forgetting(correct, never):
    count = (correct[:-1] & ~correct[1:]).sum(0).astype(float)
    count[~correct.any(0)] = never
    return count


def moderate(h, label):
    """Minus the distance, in ranks, from the middle of the samples ordered by the distance to their class's median."""
    centre = np.stack([np.median(h[label == c], axis=0) for c in range(CLASSES)])
    distance = np.linalg.norm(h - centre[label], axis=1)
    rank = np.argsort(np.argsort(distance))
    return -np.abs(rank - (len(rank) - 1) / 2)


def methods_golden():
    features, logits, label = run(seed=19)
    z = torch.tensor(logits).double()
    p = torch.softmax(z, dim=2).numpy()
    onehot = np.eye(CLASSES)[label]
    p_y = (p * onehot).sum(2)
    other = (p - 2 * onehot).max(2)
    z_y = (logits.astype(np.float64) * onehot).sum(2)
    z_other = np.where(onehot == 1, -np.inf, logits.astype(np.float64)).max(2)
    el2n = np.linalg.norm(p - onehot, axis=2)
    change = p[1:] * (np.log(p[1:] + EPS) - np.log(p[:-1] + EPS))
    J = 10
    std, mean = windows(p_y, J).std(axis=1, ddof=1), windows(p_y, J).mean(axis=1)
    last = features[-1].astype(np.float64)
    scores = {
        "tdds": tdds(np.abs(change).sum(2), *TDDS),
        "tdds_kl": tdds(change.sum(2), *TDDS),
        "entropy": -(p[-1] * np.log(p[-1])).sum(1),
        "el2n": el2n[:10].mean(0),
        "grand": np.mean([last_layer_gradient_norm(features[t], logits[t], label) for t in range(10)], axis=0),
        "forgetting": forgetting(logits.argmax(2) == label, EPOCHS),
        "forgetting_zero": forgetting(logits.argmax(2) == label, 0),
        "aum": -(p_y - other).mean(0),
        "aum_logit": -(z_y - z_other).mean(0),
        "dyn_unc": std.mean(0),
        "dual": (std * (1 - mean))[:30 - J + 1].mean(0),
        "moderate": moderate(last, label),
    }
    return {"features": features, "logits": logits, "label": label.astype(np.int64), "tdds_setting": np.array(TDDS),
            "true_kl": change.sum(2)} | {"score." + name: np.asarray(score) for name, score in scores.items()}
