"""Batches of random shapes, types and strides, and what is wrong with them.

python python/tests/test_bad_inputs.py --seconds 600     scripts/fuzz_python.sh runs it under AddressSanitizer
"""

import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import tdds

N, K = 24, 5
DTYPES = [
    "f4", "f2", "f8", ">f4", "c8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i8", "?", "O", "S3",
    "U2", "M8[s]", "m8[s]", "f4,i4",
]  # fmt: skip
try:
    import torch
except ModuleNotFoundError:
    torch = None  # type: ignore[assignment]


def some_array(rng: np.random.Generator, dtype: str, values: np.ndarray) -> Any:
    """The values in any type, laid out at random."""
    shape = values.shape
    with np.errstate(all="ignore"):
        array = np.zeros(shape, dtype) if dtype in ("f4,i4", "S3", "U2") else values.astype(dtype)
    form = rng.integers(8)
    if form == 1:
        array = np.asfortranarray(array)
    elif form == 2 and array.ndim:
        array = np.repeat(array, 3, axis=-1)[..., ::3]
    elif form == 3 and array.ndim:
        array = array[::-1].copy()[::-1]
    elif form == 4:
        array.flags.writeable = False
    elif form == 5 and array.ndim and dtype not in ("O", "f4,i4"):  # not aligned
        raw = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:]
        array = raw.view(array.dtype).reshape(array.shape)
    elif form == 6 and array.ndim and dtype not in ("O",):  # strides that are no multiple of the size
        packed = np.zeros(array.shape, [("pad", "u1"), ("x", array.dtype)])
        packed["x"] = array
        array = packed["x"]
    elif form == 7 and array.ndim and array.size:  # every row is the first one
        array = np.broadcast_to(array[:1], array.shape)
    return array


def as_other(rng: np.random.Generator, array: Any) -> Any:
    """The array as another type: of torch, Python, or nothing at all."""
    kind = rng.integers(12)
    if kind == 0:
        return array.tolist()
    if kind == 1:
        return [None, "text", 3, 1.5, object(), {}, b"12345678", [[1], [2, 3]], range(4), np.float32(1)][
            rng.integers(10)
        ]
    if kind in (2, 3, 4) and torch is not None:
        with contextlib.suppress(TypeError, ValueError, NotImplementedError):  # what torch does not have
            tensor = torch.from_numpy(array.copy())
            if kind == 3:
                tensor = tensor.to([torch.bfloat16, torch.complex64, torch.bool][rng.integers(3)])
            if kind == 4:
                tensor = [tensor.to_sparse, lambda: tensor.to("meta"), tensor.clone][rng.integers(3)]()
            return tensor.requires_grad_() if tensor.is_floating_point() and kind == 2 else tensor
    return array


def some_values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    if rng.random() > 0.85:
        shape = tuple(rng.integers(0, 7, rng.integers(0, 4)).tolist())
    return rng.integers(0 if rng.random() < 0.8 else -3, N if rng.random() < 0.8 else 300, shape)


def some_batch(rng: np.random.Generator, labels: np.ndarray) -> list[Any]:
    rows = int(rng.integers(0, 9))

    def dtype(*right: str) -> str:
        return right[rng.integers(len(right))] if rng.random() < 0.8 else DTYPES[rng.integers(len(DTYPES))]

    ids = some_values(rng, rows)
    arrays = [
        some_array(rng, dtype("i8", "i4", "u1"), ids),
        some_array(rng, dtype("f4", "f2"), some_values(rng, rows, K)),
    ]
    if rng.random() < 0.5:
        arrays.append(some_array(rng, dtype("i8", "i4"), np.asarray(labels[np.clip(ids, 0, N - 1)])))
    return [as_other(rng, array) if rng.random() < 0.3 else array for array in arrays]


def check_refused(error: Exception) -> None:
    sentence = str(error)
    assert isinstance(error, tdds.UsageError), repr(error)
    assert sentence and "\n" not in sentence and len(sentence) < 400, sentence


def fuzz(folder: Path, seconds: float, seed: int = 0) -> tuple[int, int]:
    """Feeds good and bad batches to a recorder and only good ones to another. Returns how many were taken and
    refused."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, K, N)
    taken = refused = epoch = 0
    end = time.monotonic() + seconds
    paths = folder / "fuzzed.tdds", folder / "clean.tdds"
    with tdds.Recorder(paths[0], N, K, labels) as fuzzed, tdds.Recorder(paths[1], N, K, labels) as clean:
        while time.monotonic() < end or epoch < 3:
            for _ in range(40):
                batch = some_batch(rng, labels)
                try:
                    fuzzed.update(*batch)
                except Exception as error:  # noqa: BLE001  (any other one fails check_refused)
                    check_refused(error)
                    refused += 1
                else:
                    rows = [np.asarray(b.detach().float() if hasattr(b, "detach") else b) for b in batch]
                    clean.update(
                        rows[0].astype(np.int64),
                        rows[1].astype(np.float32),
                        *(
                            r.astype(np.int64)
                            for r, given in zip(rows[2:], batch[2:], strict=True)
                            if given is not None
                        ),
                    )
                    taken += 1
            logits = rng.normal(size=(N, K)).astype(np.float32)
            for recorder in (fuzzed, clean):
                recorder.update(np.arange(N), logits)
                recorder.end_epoch()
            epoch += 1
            if epoch % 200 == 0:
                assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes() == paths[1].read_bytes()
    for make in (
        lambda a: tdds.select(a, 0.5),
        lambda a: tdds.write_mask(folder, a),
        lambda a: tdds.score(a, "entropy"),
    ):
        for _ in range(300):
            array = as_other(rng, some_array(rng, DTYPES[rng.integers(len(DTYPES))], some_values(rng, 8)))
            if isinstance(array, str):  # a path
                continue
            try:
                make(array)
            except Exception as error:  # noqa: BLE001  (any other one fails check_refused)
                check_refused(error)
    return taken, refused


def test_bad_inputs(tmp_path: Path) -> None:
    taken, refused = fuzz(tmp_path, seconds=3)
    assert taken > 100 and refused > 100


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        counts = fuzz(
            Path(temporary), float(sys.argv[sys.argv.index("--seconds") + 1]), seed=int(time.time())
        )
    print("{} batches were taken and {} refused, each by one sentence; both files are equal".format(*counts))
