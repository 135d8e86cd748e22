"""Audio files to what was measured of them, kept in a growing file so that none is done twice."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from bandtok.data.bandwidth import measure_bandwidth
from bandtok.signal.audio import probe_audio


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Measurements of one file; `path` is relative to the corpus, `size` in bytes."""

    path: str
    size: int
    sha256: str
    seconds: float
    sample_rate: int
    channels: int
    bandwidth_hz: float


class MeasurementLog:
    """Measure files below a folder, each once; one JSON object per line in `file`."""

    def __init__(self, root: Path, file: Path) -> None:
        self._root, self._file = root, file
        self._known: dict[str, Measurement] = {}
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            try:
                known = Measurement(**json.loads(line))
            except (ValueError, TypeError):
                continue  # a run was stopped in the middle of this line
            self._known[known.path] = known

    def of(self, path: Path) -> Measurement:
        """Return the measurements of a file.

        Raises:
            AudioError: if it cannot be read.
        """
        name = path.relative_to(self._root).as_posix()
        known = self._known.get(name)
        if known is None or known.size != path.stat().st_size:
            known = self._known[name] = _measure(path, name)
            self._append(known)
        return known

    def _append(self, measurement: Measurement) -> None:
        line = json.dumps(dataclasses.asdict(measurement), ensure_ascii=False) + "\n"
        with self._file.open("ab") as file:
            if file.tell() and not _ends_a_line(self._file):
                file.write(b"\n")
            file.write(line.encode())


def _measure(path: Path, name: str) -> Measurement:
    info = probe_audio(path)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Measurement(
        path=name,
        size=path.stat().st_size,
        sha256=digest,
        seconds=round(info.seconds, 3),
        sample_rate=info.sample_rate,
        channels=info.channels,
        bandwidth_hz=measure_bandwidth(path),
    )


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
