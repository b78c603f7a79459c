#!/usr/bin/env python3
"""Times PyTorch's ops for `bench_kernels --torch`, which starts this script and asks for one op after the other.

    python3 bench/torch_ops.py THREADS

A request is a line of JSON on the standard input: {"op", "shape", "device", "precision", "batch", "round",
"flush_bytes", "noise", "seconds"}, with the shape as bench_kernels writes it into the label of a row: "n=100
dtype=f32". The answer is a line with the {"seconds"} of each run, or with the reason why it {"failed"}. Before the
first request comes a line with the version of {"torch"}, the names of the {"ops"} and whether {"cuda"} can be used, or
with why torch is {"unusable"}.

A run is what PyTorch needs for the same result, all its ops together if there are several, on tensors of the same
shape and type in channels_last. Hot and cold are those of bench/sampling.cpp. What an op returns is new memory, as for
any caller.
"""

import ctypes
import gc
import json
import math
import os
import statistics
import sys
import time
import types

RECORDED_RUNS = 20  # in one CUDA graph, as bench/sampling.cpp
FEW_SAMPLES = 5  # fewer may agree by chance


def parse_shape(text):
    """A namespace of "batch=128 relu=1 dtype=f32"; numbers are integers."""
    pairs = (word.split("=") for word in text.split())
    return types.SimpleNamespace(**{name: value if name == "dtype" else int(value) for name, value in pairs})


def sides(positions):
    """(height, width) of so many positions: a square if they fill one."""
    side = math.isqrt(positions)
    return (side, side) if side * side == positions else (positions, 1)


def noise_of(seconds):
    """Half the interquartile range over the median."""
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return (high - low) / 2 / middle


def settled(seconds, noise):
    """Whether the standard error of the median is below `noise`, as in bench/sampling.cpp."""
    return 1.86 * noise_of(seconds) / math.sqrt(len(seconds)) < noise


def sample(prepare, run, noise, limit, clock=time.perf_counter):
    """Seconds of each run after the first, until they are settled or took `limit` seconds."""
    seconds = []
    began, check_at = clock(), FEW_SAMPLES
    prepare()
    run()
    while True:
        prepare()
        start = clock()
        run()
        now = clock()
        seconds.append(now - start)
        if now - began > limit:
            return seconds
        if len(seconds) >= check_at:  # at growing counts, because sorting takes long in Python
            if settled(seconds, noise):
                return seconds
            check_at = math.ceil(1.25 * len(seconds))


class Peers:
    """A method makes the operands of the op of its name and returns a function that runs it."""

    def __init__(self, torch, device, precision, batch):
        self._torch, self._aten, self._device, self._batch = torch, torch.ops.aten, device, batch
        self._dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
        self._made = {}

    @classmethod
    def _names(cls):
        return [name for name in vars(cls) if not name.startswith("_")]

    def _tensor(self, role, sizes, dtype=None):
        """Random numbers around 0. The same memory for the same role and sizes, within a round."""
        dtype = dtype or self._torch.float32
        key = (role, tuple(sizes), dtype)
        if key not in self._made:
            values = self._torch.rand(sizes, device=self._device).sub_(0.5).to(dtype)
            if len(sizes) == 4:
                values = values.contiguous(memory_format=self._torch.channels_last)
            self._made[key] = values
        return self._made[key]

    def _map(self, role, *sizes):
        """An activation of N, C, H and W."""
        return self._tensor(role, sizes, self._dtype)

    def _labels(self, s):
        key = ("labels", s.batch, s.classes)
        if key not in self._made:
            self._made[key] = self._torch.randint(s.classes, (s.batch,), device=self._device)
        return self._made[key]

    def _rows(self, role, s):
        """An activation of `rows` rows, which are the positions of the network's batch."""
        batch = self._batch if s.rows % self._batch == 0 else 1
        return self._map(role, batch, s.channels, *sides(s.rows // batch))

    # Convolutions.

    def _convolution(self, s):
        height, width = ((size + 2 * s.padding - kernel) // s.stride + 1
                         for size, kernel in ((s.height, s.filter_h), (s.width, s.filter_w)))  # fmt: skip
        x = self._map("x", s.batch, s.channels, s.height, s.width)
        w = self._map("w", s.out_channels, s.channels, s.filter_h, s.filter_w)
        dy = self._map("dy", s.batch, s.out_channels, height, width)
        return x, w, dy, ([s.stride] * 2, [s.padding] * 2, [1, 1], False, [0, 0], 1)

    def conv2d_forward(self, s):
        x, w, _, geometry = self._convolution(s)
        return lambda: self._aten.convolution.default(x, w, None, *geometry)

    def conv2d_backward_data(self, s):
        x, w, dy, geometry = self._convolution(s)
        return lambda: self._aten.convolution_backward.default(dy, x, w, None, *geometry, [True, False, False])

    def conv2d_backward_data_add(self, s):
        gradient = self.conv2d_backward_data(s)
        dx = self._map("dx", s.batch, s.channels, s.height, s.width)
        return lambda: gradient()[0].add_(dx)

    def conv2d_backward_filter(self, s):
        x, w, dy, geometry = self._convolution(s)
        return lambda: self._aten.convolution_backward.default(dy, x, w, None, *geometry, [False, True, False])

    # Batch norm, with the residual and the ReLU behind it as ops of their own.

    def _statistics(self, s):
        weight, bias, mean = (self._tensor(role, (s.channels,)) for role in ("weight", "bias", "running_mean"))
        return weight, bias, mean, self._tensor("running_var", (s.channels,)).abs_()

    def _activate(self, y, s):
        if s.residual:
            y = y.add_(self._rows("residual", s))
        return y.relu_() if s.relu else y

    def batchnorm_forward(self, s, training=True):
        x, parameters = self._rows("x", s), self._statistics(s)
        return lambda: self._activate(self._torch.batch_norm(x, *parameters, training, 0.1, 1e-5, True), s)

    def batchnorm_inference(self, s):
        return self.batchnorm_forward(s, training=False)

    def batchnorm_backward(self, s):
        x, dy = self._rows("x", s), self._rows("dy", s)
        weight, bias, mean, var = self._statistics(s)
        y, save_mean, save_inv_std, reserve, implementation = self._torch._batch_norm_impl_index(
            x, weight, bias, mean, var, True, 0.1, 1e-5, True
        )
        y = self._activate(y, s)

        def run():
            gradient = self._aten.threshold_backward.default(dy, y, 0) if s.relu else dy
            return self._aten._batch_norm_impl_index_backward.default(
                implementation, x, gradient, weight, mean, var, save_mean, save_inv_std, True, 1e-5, [True] * 3, reserve
            )

        return run

    # Element by element.

    def _flat(self, role, s):
        return self._tensor(role, (s.n,), self._dtype)

    def add(self, s):
        a, b, out = (self._flat(role, s) for role in ("a", "b", "out"))
        return lambda: self._torch.add(a, b, out=out)

    def relu(self, s):
        x = self._flat("a", s)
        return lambda: self._torch.relu(x)

    def relu_backward(self, s):
        y, dy = self._flat("a", s), self._flat("b", s)
        return lambda: self._aten.threshold_backward.default(dy, y, 0)

    def accumulate(self, s):
        gradient, total = self._flat("a", s), self._tensor("sum", (s.n,))
        return (lambda: total.copy_(gradient)) if s.first else (lambda: total.add_(gradient))

    # Pools, and the head of a network.

    def _max_pool(self, s):
        x = self._map("x", s.batch, s.channels, s.height, s.width)
        return x, ([s.window] * 2, [s.stride] * 2, [s.padding] * 2, [1, 1], False)

    def max_pool(self, s):
        x, geometry = self._max_pool(s)
        return lambda: self._aten.max_pool2d_with_indices.default(x, *geometry)

    def max_pool_backward(self, s):
        x, geometry = self._max_pool(s)
        y, indices = self._aten.max_pool2d_with_indices.default(x, *geometry)
        return lambda: self._aten.max_pool2d_with_indices_backward.default(y, x, *geometry, indices)

    def global_avg_pool(self, s):
        x = self._map("x", s.batch, s.channels, *sides(s.positions))
        return lambda: x.mean((2, 3), dtype=self._torch.float32)

    def global_avg_pool_backward(self, s):
        pooled = self._tensor("pooled", (s.batch, s.channels))
        dx = self._map("x", s.batch, s.channels, *sides(s.positions))
        return lambda: self._torch.div(pooled[:, :, None, None].expand(dx.shape), s.positions, out=dx)

    def linear_forward(self, s):
        x, w = self._tensor("features", (s.batch, s.features)), self._tensor("w", (s.classes, s.features))
        bias = self._tensor("bias", (s.classes,))
        return lambda: self._torch.addmm(bias, x, w.t())

    def linear_backward(self, s):
        x, w = self._tensor("features", (s.batch, s.features)), self._tensor("w", (s.classes, s.features))
        dy = self._tensor("logits", (s.batch, s.classes))
        return lambda: (self._torch.mm(dy, w), self._torch.mm(dy.t(), x), dy.sum(0))

    def softmax_kl(self, s):
        """Cross-entropy and its gradient, without the dynamics."""
        logits, loss = self._tensor("logits", (s.batch, s.classes)), self._cross_entropy(s)
        return lambda: loss(logits)

    def _cross_entropy(self, s):
        labels, one, mean = self._labels(s), self._tensor("one", ()), 1

        def loss_and_gradient(logits):
            log_p = self._aten._log_softmax.default(logits, 1, False)
            loss, weight = self._aten.nll_loss_forward.default(log_p, labels, None, mean, -100)
            gradient = self._aten.nll_loss_backward.default(one, log_p, labels, None, mean, -100, weight)
            return loss, self._aten._log_softmax_backward_data.default(gradient, log_p, 1, log_p.dtype)

        return loss_and_gradient

    def head_forward(self, s):
        pool = self.global_avg_pool(types.SimpleNamespace(**vars(s), channels=s.features))
        w, bias = self._tensor("w", (s.classes, s.features)), self._tensor("bias", (s.classes,))
        loss = self._cross_entropy(s) if s.loss else lambda logits: logits
        return lambda: loss(self._torch.addmm(bias, pool(), w.t()))

    def head_backward(self, s):
        x, w = self._tensor("features", (s.batch, s.features)), self._tensor("w", (s.classes, s.features))
        dlogits = self._tensor("logits", (s.batch, s.classes))
        dx = self._map("x", s.batch, s.features, *sides(s.positions))

        def run():
            dfeatures = self._torch.mm(dlogits, w)
            self._torch.div(dfeatures[:, :, None, None].expand(dx.shape), s.positions, out=dx)
            return self._torch.mm(dlogits.t(), x), dlogits.sum(0)

        return run

    # The optimizer, and scores.

    def sgd(self, s):
        """With fp32 gradients, as autocast leaves them, and the copy that the layers read."""
        sizes = [n for n in (s.n, s.more) if n]
        weights = [self._tensor(f"w{i}", (n,)) for i, n in enumerate(sizes)]
        for i, weight in enumerate(weights):
            weight.grad = self._tensor(f"g{i}", weight.shape)
        copy = self._tensor("copy", (s.n,), self._dtype) if s.compute else None
        optimizer = self._torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)

        def run():
            optimizer.step()
            if copy is not None:
                copy.copy_(weights[0])

        return run

    def check_finite(self, s):
        """GradScaler's op, which also multiplies by the inverse of the scale."""
        gradients = [self._tensor(f"g{i}", (n,)) for i, n in enumerate((s.n, s.more)) if n]
        found, inverse = self._tensor("found", (1,)).zero_(), self._tensor("inverse", (1,)).fill_(1)
        return lambda: self._torch._amp_foreach_non_finite_check_and_unscale_(gradients, found, inverse)

    def feature_norm(self, s):
        features = self._tensor("features", (s.batch, s.features))
        return lambda: self._torch.linalg.vector_norm(features, dim=1)

    def sort_by_score(self, s):
        score = self._tensor("score", (s.n,))
        return lambda: self._torch.sort(score, stable=True)


class Measurement:
    """Answers requests. Operands stay in memory until the next round."""

    def __init__(self, torch):
        self.torch = torch
        self.peers = {}
        self.flushed = {}
        self.round = 0
        self.held = []

    def flush(self, device, size):
        """A function that reads and writes `size` bytes; nothing where it is 0."""
        if not size:
            return lambda: None
        if device not in self.flushed or self.flushed[device].numel() * 4 != size:
            self.flushed[device] = self.torch.zeros(size // 4, dtype=self.torch.int32, device=device)
        memory = self.flushed[device]
        return memory.zero_ if device == "cuda" else lambda: memory.add_(1)

    def replays(self, body, noise, limit):
        """Seconds of one `body`, as replays() in bench/sampling.cpp."""
        stream = self.torch.cuda.Stream()
        with self.torch.cuda.stream(stream):
            for _ in range(3):  # loads code and, for convolutions, times cuDNN's plans, which a capture must not do
                body()
        self.torch.cuda.synchronize()
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            for _ in range(RECORDED_RUNS):
                body()

        def run():
            graph.replay()
            self.torch.cuda.synchronize()

        return [seconds / RECORDED_RUNS for seconds in sample(lambda: None, run, noise, limit)]

    def new_round(self, number):
        """Frees the operands and takes some memory, so that this round makes them elsewhere."""
        self.round, self.peers = number, {}
        ctypes.CDLL(None).malloc_trim(0)
        self.held = [b"1" * size for size in (1 + 37 * number % 256 << 12, number % 16 << 21)]

    def answer(self, request):
        device, precision, limits = request["device"], request["precision"], (request["noise"], request["seconds"])
        if device == "cuda":
            allowed = precision == "tf32"
            self.torch.backends.cudnn.allow_tf32 = self.torch.backends.cuda.matmul.allow_tf32 = allowed
        key = (device, precision, request["batch"])
        if request["round"] != self.round:
            self.new_round(request["round"])
        if key not in self.peers:
            self.peers[key] = Peers(self.torch, *key)
        run = getattr(self.peers[key], request["op"])(parse_shape(request["shape"]))
        flush = self.flush(device, request["flush_bytes"])
        if device != "cuda":
            return sample(flush, run, *limits)
        if not request["flush_bytes"]:
            return self.replays(run, *limits)

        def both():
            flush()
            run()

        seconds = self.replays(both, *limits)
        before = statistics.median(self.replays(flush, *limits))
        return [max(one - before, 1e-9) for one in seconds]


def keep_freed_memory():
    """Lets malloc keep what is freed: the outputs of an op are then in memory that the process already has."""
    trim_threshold, mmap_max = -1, -4  # of malloc.h
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)


def load_torch(threads):
    """PyTorch, or a sentence that says why it cannot be used."""
    try:
        import torch
    except ImportError:
        return (
            f"{sys.executable} has no torch; set TDDS_TORCH_PYTHON to a Python that has it, such as "
            ".venv/torch/bin/python, which bench/with_torch.sh makes"
        )
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    return torch


def main():
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(answer):
        print(json.dumps(answer), file=answers, flush=True)

    keep_freed_memory()
    torch = load_torch(int(sys.argv[1]))
    if isinstance(torch, str):
        return send({"unusable": torch})
    send({"torch": torch.__version__, "ops": Peers._names(), "cuda": torch.cuda.is_available()})
    measurement = Measurement(torch)
    gc.disable()
    with torch.no_grad():
        for line in sys.stdin:
            try:
                send({"seconds": measurement.answer(json.loads(line))})
            except Exception as error:  # whatever PyTorch raises is an answer
                send({"failed": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
