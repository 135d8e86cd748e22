"""Hours of music through encode and decode: memory, time, and what an interrupt leaves behind.

    python -m research.reliability.long_input --hours 3 [--work DIR] [--write FILE.md]

The music is the demo excerpt over and over, at another level each time. Both commands run as
processes of their own; their peak resident memory is the system's own count.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from bandtok.signal.audio import load_audio
from bandtok.tokens.token_file import TokenFile
from research.reliability.report import Section, machine, write_section

EXCERPT = Path(__file__).parents[2] / "examples" / "audio" / "greece.flac"
MEMORY_LIMIT_MB = 1536


@dataclass(frozen=True)
class Run:
    """A command that ran to its end: seconds it took, peak resident memory in MB."""

    name: str
    seconds: float
    peak_mb: float


def write_music(path: Path, hours: float) -> float:
    """Write hours of stereo music at 44.1 kHz; return how many seconds."""
    excerpt = load_audio(EXCERPT, 44_100).waveform.T
    repeats = max(1, round(hours * 3600 * 44_100 / len(excerpt)))
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", 44_100, excerpt.shape[1], "PCM_16") as file:
        for _ in range(repeats):
            file.write(excerpt * rng.uniform(0.1, 1.0))
    return repeats * len(excerpt) / 44_100


def run(name: str, arguments: list[str]) -> Run:
    """Run `bandtok ARGUMENTS` and measure it; raises if it fails."""
    began = time.monotonic()
    process = subprocess.Popen(_command(arguments))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{name} ended with exit code {process.returncode}")
    return Run(name, time.monotonic() - began, usage.ru_maxrss / 1024)


def interrupt(arguments: list[str], after: float) -> int:
    """Start a command, send it what Ctrl-C sends, and return its exit code."""
    process = subprocess.Popen(_command(arguments), stderr=subprocess.DEVNULL)
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=120)


def check(hours: float, model: str | None, work: Path) -> tuple[list[Run], dict[str, str]]:
    """Encode and decode `hours` of music; return the runs and further findings."""
    music, tokens, back = work / "long.flac", work / "long.btk", work / "back.wav"
    seconds = write_music(music, hours)
    chosen = ["--quiet", *(["--model", model] if model else [])]
    code = interrupt(["encode", str(music), "-o", str(tokens), *chosen], after=20.0)
    left = sorted(p.name for p in work.iterdir() if p != music)
    runs = [run("encode", ["encode", str(music), "-o", str(tokens), *chosen])]
    runs.append(run("decode", ["decode", str(tokens), "-o", str(back), *chosen]))
    with TokenFile(tokens) as file:
        frames = file.num_frames
        file.read()
    same_length = soundfile.info(back).frames == soundfile.info(music).frames
    findings = {
        "length": f"{seconds / 3600:.2f} h, {frames:,} frames",
        "decoded length is the original's, to the sample": "yes" if same_length else "NO",
        "interrupted after 20 s": f"exit code {code}, left behind: {', '.join(left) or 'nothing'}",
        "size of the token file": f"{tokens.stat().st_size / 1e6:.2f} MB",
    }
    return runs, findings


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-c", "from bandtok.cli.main import run; run()", *arguments]


def main() -> int:
    """Run, write the table; exit code 1 if memory went over the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--model", default=None)
    parser.add_argument("--work", type=Path, default=None, help="folder for some gigabytes")
    parser.add_argument("--write", type=Path, default=None, metavar="FILE.md")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    with tempfile.TemporaryDirectory(dir=arguments.work) as work:
        runs, findings = check(arguments.hours, arguments.model, Path(work))
    rows = [(r.name, f"{r.seconds:.0f} s, peak resident memory {r.peak_mb:.0f} MB") for r in runs]
    section = Section(
        title=f"{arguments.hours:g} hours of music",
        command=f"python -m research.reliability.long_input --hours {arguments.hours:g}",
        columns=("what", "found"),
        rows=[*rows, *findings.items()],
        note=f"{machine()}.",
    )
    write_section(section, arguments.write)
    return 0 if all(r.peak_mb < MEMORY_LIMIT_MB for r in runs) else 1


if __name__ == "__main__":
    raise SystemExit(main())
