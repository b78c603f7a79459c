"""Writes the metrics of a run, or of every run of a sweep, as events for TensorBoard.

python -m tdds.tensorboard RUN
tensorboard --logdir RUN

RUN is the folder of a run of tdds-train or tdds-sweep. The events are written into `tensorboard/` beside each
metrics.jsonl, and replace those of an earlier call. Needs the package tensorboard: pip install tensorboard.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any


def scalars(line: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl, nested ones by the path of their keys."""
    found: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            found |= {f"{name}/{key}": number for key, number in scalars(value).items()}
        elif isinstance(value, (int, float)) and name != "epoch":
            found[name] = float(value)
    return found


def write_events(metrics: Path) -> int:
    """Writes `tensorboard/` beside a metrics.jsonl. Returns the number of epochs."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    # A run that is killed leaves an incomplete last line.
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").split("\n")[:-1]]
    folder = metrics.parent / "tensorboard"
    shutil.rmtree(folder, ignore_errors=True)
    writer = EventFileWriter(str(folder))
    time = metrics.stat().st_mtime - sum(line.get("seconds", 0.0) for line in lines)
    for line in lines:
        time += line.get("seconds", 0.0)
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(line).items()]
        writer.add_event(Event(wall_time=time, step=line["epoch"], summary=Summary(value=values)))
    writer.close()
    return len(lines)


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    files = sorted(Path(sys.argv[1]).glob("**/metrics.jsonl"))
    if not files:
        sys.exit(f"tdds.tensorboard: there is no metrics.jsonl in {sys.argv[1]}; give the folder of a run")
    try:
        for metrics in files:
            print(f"{metrics.parent / 'tensorboard'}: {write_events(metrics)} epochs")
    except ModuleNotFoundError as error:
        sys.exit(f"tdds.tensorboard: {error.name} is not installed; run `pip install tensorboard`")


if __name__ == "__main__":
    main()
