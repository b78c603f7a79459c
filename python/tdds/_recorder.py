"""Recording the dynamics of any training loop."""

import os
import sys
import warnings
from types import TracebackType
from typing import Any, Self

from ._arrays import on_host, whole
from ._native import _tdds
from ._sources import Path


class _DeviceBatch:
    """A batch of torch's CUDA tensors whose copy to the host was queued behind the kernels that write it."""

    def __init__(self, ids: Any, logits: Any, labels: Any | None, epoch: int | None) -> None:
        torch = sys.modules["torch"]

        def queued(tensor: Any) -> Any:  # into pinned memory
            on_device = getattr(tensor, "is_cuda", False)
            return tensor.detach().to("cpu", non_blocking=True) if on_device else tensor

        self._tensors = queued(ids), queued(logits), queued(labels)
        self._epoch = epoch
        self._copied = torch.cuda.current_stream(logits.device).record_event()

    def score(self, recorder: _tdds.Recorder) -> None:
        self._copied.synchronize()
        _update(recorder, *self._tensors, self._epoch)


def _update(recorder: _tdds.Recorder, ids: Any, logits: Any, labels: Any | None, epoch: int | None) -> None:
    labels = None if labels is None else on_host(labels, "labels")
    recorder.update(on_host(ids, "ids"), on_host(logits, "logits"), labels, _epoch(epoch))


def _epoch(epoch: int | None) -> int | None:
    return None if epoch is None else whole(epoch, "epoch")


class Recorder:
    """Records the training dynamics of a training loop in `dynamics.tdds`, the file that tdds-train writes.

    ::

        with tdds.Recorder("run/dynamics.tdds", samples=50000, classes=100) as recorder:
            for epoch in range(recorder.epoch, epochs):
                for images, labels, ids in loader:
                    logits = net(images)
                    recorder.update(ids, logits, labels)
                    ...
                recorder.end_epoch()

    Per sample and epoch it keeps a few numbers, not the logits: kl and true_kl, the change since the sample's
    previous visit (TDDS, arXiv 2311.13613), the entropy of the softmax, and, with labels, loss, log_other,
    el2n and correct. kernels/ops/softmax_kl.h has their formulas; the same kernel computes them here.

    The file appears with the first `end_epoch`. Each `end_epoch` also saves the log-probabilities of each
    sample's last visit, float32 [N, K], in `<path>.resume.safetensors`. After a crash, a Recorder with the
    same arguments continues with `epoch`, the first one that is not in the file, and gives the same bits as
    an uninterrupted one would for the same logits.

    - A sample that an epoch does not visit keeps its last values, with kl = 0, and its next visit is compared
      with the last one. kl is 0 up to and at a sample's first visit. Before it, the sample counts as
      predicted uniformly and wrongly.
    - Of two visits in one epoch, the first counts. (DistributedSampler repeats samples to fill a batch.)
    - A batch with an id or label out of range, another number of classes, a logit that is not finite or a
      label that differs from the sample's earlier one is refused as a whole, and changes nothing.
    - Labels are given here, with every update, or never. Without, only the methods that need no labels are
      possible: tdds, tdds_kl, entropy and random.

    Args:
        path: the file, such as run/dynamics.tdds. Its folder is made if absent.
        samples: N, the number of training samples. Ids are 0 .. N-1.
        classes: K, at least 2.
        labels: int [N] by sample, 0 .. K-1, or None.
        fingerprint: any text that identifies the data; a recording of another one is not continued.
        resume: whether each `end_epoch` saves what a killed recording is continued from. A warning says the
            size if it is above 1 GB.

    Raises:
        UsageError: for numbers or labels out of range.
        Error: if another Recorder has the path, or the file there is of another recording, damaged, or
            cannot be written.
    """

    def __init__(
        self,
        path: Path,
        samples: int,
        classes: int,
        labels: Any | None = None,
        fingerprint: str = "",
        *,
        resume: bool = True,
    ) -> None:
        given = None if labels is None else on_host(labels, "labels")
        samples, classes = whole(samples, "samples"), whole(classes, "classes")
        self._recorder = _tdds.Recorder(os.fspath(path), samples, classes, given, fingerprint, resume)
        saved = 4e-9 * samples * classes
        if resume and saved > 1:
            warnings.warn(
                f"each end_epoch saves {saved:.1f} GB in {os.fspath(path)}.resume.safetensors, from which a "
                "killed recording is continued; resume=False leaves it out",
                stacklevel=2,
            )
        self._on_device: _DeviceBatch | None = None

    @property
    def epoch(self) -> int:
        """The current epoch, from 0: the number of epochs in the file."""
        return self._recorder.epoch

    def update(self, ids: Any, logits: Any, labels: Any | None = None, *, epoch: int | None = None) -> None:
        """Adds a batch of the training pass. Call it once a batch, with the logits that the loss is computed
        from.

        Args:
            ids: int [B], 0 .. N-1.
            logits: float32, float16 or bfloat16 [B, K], before the softmax. B may be 0. Tensors of torch are
                detached. Those on a GPU are copied without waiting, and scored at the next call, while the
                GPU computes the next step.
            labels: int [B], 0 .. K-1, if they were not given to the Recorder.
            epoch: your loop's epoch, to be compared with `epoch`.

        Raises:
            UsageError: for a batch that cannot be taken, or another epoch; nothing changes. For a batch on a
                GPU, the next call raises it, and takes its own batch.
        """
        if getattr(logits, "is_cuda", False):
            self._score_previous(_DeviceBatch(ids, logits, labels, epoch))
        else:
            self._score_previous()
            _update(self._recorder, ids, logits, labels, epoch)

    def _score_previous(self, current: _DeviceBatch | None = None) -> None:
        previous, self._on_device = self._on_device, current
        if previous is not None:
            previous.score(self._recorder)

    def end_epoch(self, *, epoch: int | None = None) -> int:
        """Writes the epoch; it is on the disk when this returns. Returns how many samples it did not visit.

        Args:
            epoch: your loop's epoch, to be compared with `epoch`.

        Raises:
            UsageError: if there was no visit, or for another epoch.
            Error: if a sample's label is still unknown after the first epoch, or a file cannot be written;
                `end_epoch` may then be called again.
        """
        self._score_previous()
        return self._recorder.end_epoch(_epoch(epoch))

    def close(self) -> None:
        """Lets another Recorder have the path. The visits since the last `end_epoch` are dropped, with a
        warning."""
        try:
            self._score_previous()
        finally:
            dropped = self._recorder.close()
        if dropped:
            warnings.warn(f"{dropped} visits since the last end_epoch were not recorded", stacklevel=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:  # the exception says why the epoch is not finished
            self._on_device = None
            self._recorder.close()
