"""Time the generation of a clip: settings, back ends, threads, and busy cores beside it.

    python -m research.benchmarks.generation_speed [--repeats K] [--duration S] [--write FILE.md]

Every cell is measured in a process of its own, after loading and one untimed second of music; the
cells run in turn, again and again, and the median is reported. A "busy core" is a process that
counts. With them a row says how many times slower the same cell is than without.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from bandtok.tokens import atomic

PROMPT = "a calm solo piano piece"
BACKENDS = ("onnx", "torch")
SETTINGS: dict[str, dict[str, object]] = {
    "defaults: text, beat, four candidates": {},
    "text only, one candidate, no beat": {"num_candidates": 1, "bpm": 0},
    "no prompt": {"prompt": ""},
}
_CHILD = """
import json, resource, sys, time
began = time.perf_counter()
import bandtok
settings, backend, threads, seconds = json.loads(sys.argv[1])
prompt = settings.pop("prompt", {prompt!r})
model = bandtok.MusicModel.from_pretrained(device="cpu", backend=backend, threads=threads)
loaded = time.perf_counter() - began
model.generate(prompt, 1, **settings)
began = time.perf_counter()
model.generate(prompt, seconds, **settings)
took = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([loaded, took, peak]))
"""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination that is timed."""

    setting: str
    backend: str
    threads: int
    busy: int


def cells(threads: int, backends: Sequence[str] = BACKENDS) -> list[Cell]:
    """Return all combinations: busy cores with the product's defaults only."""
    found = [
        Cell(setting=setting, backend=backend, threads=count, busy=0)
        for setting in SETTINGS
        for backend in backends
        for count in dict.fromkeys((1, threads))
    ]
    defaults = next(iter(SETTINGS))
    found += [Cell(setting=defaults, backend="onnx", threads=threads, busy=busy) for busy in (1, 2)]
    return found


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keep so many cores busy."""
    counting = "n = 0\nwhile True: n += 1"
    running = [subprocess.Popen([sys.executable, "-c", counting]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def measure(cell: Cell, seconds: float) -> tuple[float, float, float]:
    """Return seconds to load, seconds for the clip, and the peak of resident memory in MiB."""
    request = json.dumps([SETTINGS[cell.setting], cell.backend, cell.threads, seconds])
    with busy_cores(cell.busy):
        done = subprocess.run(
            [sys.executable, "-c", _CHILD.format(prompt=PROMPT), request],
            env={**os.environ, "OMP_NUM_THREADS": str(cell.threads)},
            capture_output=True,
            text=True,
            check=True,
        )
    loaded, took, peak = json.loads(done.stdout.splitlines()[-1])
    return loaded, took, peak


def table(found: dict[Cell, list[tuple[float, float, float]]]) -> str:
    """Return the table of medians."""
    medians = {
        cell: [statistics.median(column) for column in zip(*rows, strict=True)]
        for cell, rows in found.items()
    }
    lines = [
        "| setting | back end | threads | busy cores | load, s | clip, s | peak, MiB | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for cell, (loaded, took, peak) in medians.items():
        other = cell.backend if cell.busy else BACKENDS[-1]
        base = medians.get(replace(cell, backend=other, busy=0))
        ratio = f"{took / base[1]:.2f}" if base else "–"
        lines.append(
            f"| {cell.setting} | {cell.backend} | {cell.threads} | {cell.busy} | {loaded:.1f} "
            f"| {took:.2f} | {peak:.0f} | {ratio} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="rounds over all cells")
    parser.add_argument("--duration", type=float, default=10.0, help="length of the clip in s")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--write", type=Path, help="page to write")
    arguments = parser.parse_args()
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    load = os.getloadavg()[0]
    found: dict[Cell, list[tuple[float, float, float]]] = {
        cell: [] for cell in cells(threads, arguments.backends)
    }
    for number in range(arguments.repeats):
        for cell, rows in found.items():
            rows.append(measure(cell, arguments.duration))
            print(f"round {number + 1}: {cell}: {rows[-1][1]:.2f} s", file=sys.stderr, flush=True)
    page = (
        "# Speed of generation\n\n"
        f"Seconds for a clip of {arguments.duration:g} s after loading, median of "
        f"{arguments.repeats} interleaved rounds; made by `python -m "
        "research.benchmarks.generation_speed`. The ratio is that to the torch back end at the "
        "same setting and threads; with busy cores, to the same cell without them.\n\n"
        f"{table(found)}\n\n"
        f"Conditions: {platform.machine()}, {os.cpu_count()} cores, load before {load:.2f}, "
        f"onnxruntime {version('onnxruntime')}, torch {version('torch')}, Python "
        f"{platform.python_version()}, {time.strftime('%Y-%m-%d')}.\n"
    )
    print(page)
    if arguments.write:
        atomic.write_bytes(arguments.write, page.encode())


if __name__ == "__main__":
    main()
