"""What an experiment is: rows to train, and a function from what was trained to findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from research.claims.results import Findings, Table
from research.claims.rows import Row, with_needs
from research.claims.run_store import RunStore
from research.claims.scales import Scale


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where findings put their files.

    Attributes:
        folder: of results.
        name: of the experiment.
        listen: folder of audio for the clips of reconstruction; None takes held-out music.
    """

    folder: Path
    name: str
    listen: Path | None = None

    def plot(self, key: str) -> Path:
        return self.folder / f"{self.name}-{key}.svg"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One row of the paper's claims.

    Attributes:
        name, title, question: for readers.
        rows: what is trained, at a scale.
        find: measures the rows; trains those that are missing.
    """

    name: str
    title: str
    question: str
    rows: Callable[[Scale], Sequence[Row]]
    find: Callable[[RunStore, Place], Findings]

    def all_rows(self, scale: Scale) -> list[Row]:
        """Return the rows and what they build on."""
        return with_needs(self.rows(scale))

    def seeds(self, scale: Scale) -> tuple[int, ...]:
        return tuple(sorted({row.seed for row in self.rows(scale)}))


def how(*lines: tuple[str, str]) -> Table:
    """Return the table that says how numbers were made."""
    return Table(title="How it was measured", columns=("what", "how"), rows=tuple(lines))


BUDGET_NOTE = (
    "training",
    "Equal steps, batches, crops, optimizer and blocks for both kinds of token. Beside what a "
    "token is, they differ in the length of the latents (one a frame is longer than one a band) "
    "and in the vectors that a codebook sees in a step: a residual layer gets one a frame, the "
    "bands' codebook 16. Small budgets: what a longer training would show is not known.",
)
INTERVAL_NOTE = (
    "intervals",
    "95 %, by resampling held-out tracks, of values averaged over seeds; differences are taken "
    "clip by clip (window by window). A claim is said to hold if the interval and every seed lie "
    "on its side of 0.",
)
SOUND_NOTE = (
    "sound",
    "Griffin-Lim on the decoded mel for every system, so that no vocoder that learned one "
    "system's mels favors it.",
)
