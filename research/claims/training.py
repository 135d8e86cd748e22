"""One training that is not done twice: a run folder that remembers what it was made from.

Settings -> RUN/done.json with the last validation. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bandtok.errors import ConfigError, TrainingError
from bandtok.tokens import atomic
from bandtok.training.loop import read_metrics
from bandtok.training.run import RunReport, train

try:
    import fcntl
except ImportError:  # not on this system: one process at a time, please
    fcntl = None  # type: ignore[assignment]

BEGUN, DONE, LOCK = "begun.json", "done.json", ".lock"


def train_once(
    kind: str,
    recipe: str,
    *,
    data: Path,
    out: Path,
    settings: Mapping[str, str],
    init: str | None = None,
    report: RunReport | None = None,
    keep_state: bool = True,
) -> dict[str, Any]:
    """Train a network unless that was done before, and return its last validation.

    Args:
        kind, recipe, data, out, settings, init, report: as for `bandtok.training.run.train`.
        keep_state: keep the state of a finished run, several times as large as its model.

    Returns:
        The line that validation logged: "step", "minutes" and the measures.

    Raises:
        ConfigError: if `out` holds a run of another recipe or of other settings.
        TrainingError: if the training was stopped; the next call goes on.
    """
    made_by = _told(
        {"kind": kind, "recipe": recipe, "settings": dict(settings), "init": init}, out.parent
    )
    done = out / DONE
    with working_alone(out):
        _check_same(out, made_by)
        if done.exists():
            return dict(json.loads(done.read_text(encoding="utf-8")))
        atomic.write_text(out / BEGUN, json.dumps(made_by, indent=2) + "\n")
        result = train(
            kind,
            recipe,
            data=data,
            out=out,
            resume=(out / "state").exists(),
            init=init,
            settings=settings,
            report=report,
        )
        if not result.finished:
            raise TrainingError(f"stopped {out.name} at step {result.step}; run again to go on")
        numbers = next(line for line in reversed(read_metrics(out)) if line["part"] == "valid")
        atomic.write_text(done, json.dumps(numbers) + "\n")
        if not keep_state:
            shutil.rmtree(out / "state")
    return numbers


@contextmanager
def working_alone(folder: Path) -> Iterator[None]:
    """Make a folder, and keep other processes out of this block as long as it is worked on.

    They wait; the lock goes with its process, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _told(made_by: Mapping[str, Any], runs: Path) -> dict[str, Any]:
    """Return it with the folder of the runs left out, so that the folder may be moved."""
    text = json.dumps(made_by).replace(json.dumps(str(runs))[1:-1], "RUNS")
    return dict(json.loads(text))


def _check_same(out: Path, made_by: Mapping[str, Any]) -> None:
    begun = out / BEGUN
    if not begun.exists():
        return
    before = json.loads(begun.read_text(encoding="utf-8"))
    differing = [key for key in made_by if before.get(key) != made_by[key]]
    if differing:
        raise ConfigError(
            f"{out} was begun with another {', '.join(differing)}; "
            "remove it, or name another folder for the runs"
        )
