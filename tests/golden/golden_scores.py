"""The official scoring formula on random dynamics: in float32 in the official script's order of operations, and in
float64. Written from its mathematics (importance_evaluation.py of the official TDDS code)."""

import numpy as np
import torch

EPS = 1e-8
CONFIDENCES = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999, 0.9999999]
SETTINGS = [(12, 10, 0.9), (12, 3, 0.9), (12, 12, 0.9), (12, 5, 0.5), (8, 5, 0.9), (12, 5, 0.0), (12, 5, 1.0),
            (12, 4, 0.1)]  # (T, J, decay)


def dynamics(samples, classes, epochs, seed):
    """Logits [T, N, K] float32 in visiting order, indexes [T, N] and each sample's confidence class [N].

    The largest probability of a sample with confidence p stays near p: 1 - p varies by a factor of up to 2. A tenth of the
    samples also change their predicted class once, so that all classes and large divergences occur.
    """
    rng = np.random.default_rng(seed)
    level = rng.permutation(np.arange(samples) % len(CONFIDENCES))
    label = rng.integers(classes, size=samples)
    others = rng.normal(0.0, 1.5, (samples, classes))
    logits = np.empty((epochs, samples, classes))
    for t in range(epochs):
        rest = (1.0 - np.array(CONFIDENCES)[level]) * 2.0 ** rng.uniform(-1, 1, samples)
        rest = np.minimum(rest, 0.7)
        z = others + rng.normal(0.0, 0.3, others.shape)
        changed = (np.arange(samples) % 10 == 0) & (rng.integers(epochs, size=samples) <= t // 4)
        top = np.where(changed, (label + 1) % classes, label)
        z[np.arange(samples), top] = -np.inf
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        z[np.arange(samples), top] = np.log((1.0 - rest) / rest)
        logits[t] = z + rng.uniform(-3.0, 3.0, (samples, 1))
    index = np.stack([rng.permutation(samples) for _ in range(epochs)])
    shuffled = np.stack([logits[t][index[t]] for t in range(epochs)])
    return shuffled.astype(np.float32), index.astype(np.int64), np.array(CONFIDENCES)[level]


def softmax(z):
    """Like scipy.special.softmax: shifted by the maximum, in the type of z."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def divergence(previous, current):
    return torch.abs(current * (torch.log(current + EPS) - torch.log(previous + EPS))).sum(dim=1)


def official_float32(logits, index, T, J, decay):
    total = []
    for k in range(T - J + 1):
        p = softmax(logits[k:k + J])
        ordered = []
        for i in range(J):
            zero = torch.zeros_like(torch.from_numpy(p[0]))
            ordered.append(zero.index_add(0, torch.from_numpy(index[k + i]), torch.from_numpy(p[i])))
        d = np.array([divergence(ordered[j], ordered[j + 1]).numpy() for j in range(J - 1)])
        mean = d.sum(0) / (J - 1)
        norm = np.linalg.norm(np.array([row - mean for row in d]), axis=0)
        total.append(norm * decay * (1 - decay) ** (T - J - k))
    return sum(np.array(total), 0)


def series_float64(logits, index):
    """d [T-1, N], each term without cancellation: log(p + eps) of the largest class is log1p(eps - (1 - p))."""
    p, log_p = [], []
    for z, ids in zip(logits.astype(np.float64), index):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        top = e.argmax(axis=1)[:, None]
        others = e.copy()
        np.put_along_axis(others, top, 0.0, axis=1)
        rest = others.sum(axis=1, keepdims=True)
        q = e / (1.0 + rest)
        log_q = np.log(q + EPS)
        np.put_along_axis(log_q, top, np.log1p(EPS - rest / (1.0 + rest)), axis=1)
        back = np.argsort(ids)
        p.append(q[back])
        log_p.append(log_q[back])
    return np.array([np.abs(p[t + 1] * (log_p[t + 1] - log_p[t])).sum(axis=1) for t in range(len(p) - 1)])


def score_float64(d, T, J, decay):
    score = np.zeros(d.shape[1])
    for k in range(T - J + 1):
        window = d[k:k + J - 1]
        radius = np.sqrt(((window - window.mean(axis=0)) ** 2).sum(axis=0))
        score = (1.0 - decay) * score + decay * radius
    return score


def scores_golden():
    golden = {"settings": np.array(SETTINGS)}
    for classes, samples in ((10, 400), (100, 160)):
        logits, index, confidence = dynamics(samples, classes, 12, seed=classes)
        d = series_float64(logits, index)
        prefix = f"k{classes}."
        golden |= {prefix + "logits": logits, prefix + "index": index, prefix + "confidence": confidence,
                   prefix + "series": d}
        golden[prefix + "score"] = np.array([score_float64(d, *s) for s in SETTINGS])
        golden[prefix + "official_score"] = np.array([official_float32(logits, index, *s) for s in SETTINGS])
    return golden
