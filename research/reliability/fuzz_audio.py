"""Damaged audio files: each must give an AudioError or finite samples, in bounded time and memory.

    python -m research.reliability.fuzz_audio --inputs 20000 [--seed 0] [--write FILE.md]

The loader runs in child processes, because libsndfile and its codecs are written in C: a crash is
seen, counted and survived. Exit code 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from bandtok.errors import AudioError
from bandtok.signal.audio import load_audio
from research.reliability.damaged_audio import AudioFile, damaged_file, good_files
from research.reliability.fuzz_reader import cap_memory
from research.reliability.report import Section, machine, write_section

MAX_SECONDS = 10.0
MEMORY_CAP_BYTES = 1 << 30
MAX_SAMPLES_PER_BYTE = 8192  # a FLAC frame of silence: up to 65,535 samples in some 10 bytes
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass
class AudioTally:
    """What came of all inputs; `failures` holds (index, what went wrong)."""

    damages: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    noisy: Counter[str] = field(default_factory=Counter)
    inputs: int = 0
    slowest_seconds: float = 0.0
    seconds: float = 0.0


def load(file: AudioFile, folder: Path) -> str:
    """Load one file as the program does and check what comes back.

    Returns:
        "refused", "read" or "FAILURE: " and what was wrong.
    """
    path = folder / f"input.{file.suffix}"
    path.write_bytes(file.data)
    try:
        audio = load_audio(path)
    except AudioError as error:
        line = str(error)
        return "refused" if line.isprintable() and len(line) < 1000 else f"FAILURE: {line!r}"
    except Exception as error:
        return f"FAILURE: {type(error).__name__}: {error}"
    finally:
        path.unlink()
    waveform = audio.waveform
    if waveform.dtype != np.float32 or not np.isfinite(waveform).all():
        return "FAILURE: samples that are no finite float32"
    if waveform.shape[1] > MAX_SAMPLES_PER_BYTE * len(file.data):
        return f"FAILURE: {waveform.shape} samples from {len(file.data)} bytes"
    return "read"


def run(number: int, seed: int, progress: bool = False) -> AudioTally:
    """Load `number` damaged files in child processes.

    Args:
        number: of inputs.
        seed: decides every input.
        progress: show on stderr how far it is.
    """
    tally, began, start = AudioTally(), time.monotonic(), 0
    while start < number:
        start = _run_child(start, number, seed, tally)
        if progress:
            print(f"{start} inputs, {len(tally.failures)} failures", file=sys.stderr)
    tally.seconds = time.monotonic() - began
    return tally


def _run_child(start: int, stop: int, seed: int, tally: AudioTally) -> int:
    """Run inputs in one child until it ends; return the first input not yet done."""
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    stop = min(stop, start + 5000)
    child = _CONTEXT.Process(target=_child, args=(start, stop, seed, sender))
    child.start()
    sender.close()
    index = start
    try:
        while index < stop:
            if not receiver.poll(MAX_SECONDS if index > start else 120):
                child.kill()
                tally.failures.append((index, f"no answer within {MAX_SECONDS} s"))
                break
            _count(receiver.recv(), index, tally)
            index += 1
    except EOFError:
        tally.failures.append((index, _ended(child)))
    child.join()
    receiver.close()
    if index < stop:
        tally.inputs += 1
        tally.answers["FAILURE"] += 1
        return index + 1
    return stop


def _ended(child: BaseProcess) -> str:
    child.join()
    code = child.exitcode or 0
    return f"the process died: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


def _count(message: tuple[str, str, float, str], index: int, tally: AudioTally) -> None:
    damage, answer, seconds, noise = message
    tally.inputs += 1
    tally.damages[damage] += 1
    tally.answers[answer.partition(":")[0]] += 1
    tally.slowest_seconds = max(tally.slowest_seconds, seconds)
    if answer.startswith("FAILURE"):
        tally.failures.append((index, answer))
    if noise:
        tally.noisy[noise] += 1


def _child(start: int, stop: int, seed: int, sender: Any) -> None:
    files = good_files()
    with _scratch() as folder, tempfile.TemporaryFile() as noise:
        for file in files:  # what libraries load at first use is no matter of the inputs
            assert load(file, folder) == "read", file.format
        faulthandler.disable()
        os.dup2(noise.fileno(), 2)  # what the C libraries print themselves
        cap_memory(MEMORY_CAP_BYTES)
        for index in range(start, stop):
            file = damaged_file(files, seed, index)
            began = time.process_time()
            answer = load(file, folder)
            seconds = time.process_time() - began
            sender.send((file.damage, answer, seconds, _printed(noise.fileno(), file.format)))


def _printed(handle: int, format: str) -> str:
    size = os.fstat(handle).st_size
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    return format if size else ""


@contextmanager
def _scratch() -> Iterator[Path]:
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


def _section(tally: AudioTally, command: str) -> Section:
    answers = ", ".join(f"{name} {count:,}" for name, count in tally.answers.most_common())
    noisy = ", ".join(f"{name} {count}" for name, count in tally.noisy.most_common()) or "none"
    return Section(
        title="Damaged audio files",
        command=command,
        columns=("kind of damage", "inputs"),
        rows=[(kind, f"{count:,}") for kind, count in sorted(tally.damages.items())],
        note=(
            f"{tally.inputs:,} inputs made from {len(good_files())} files (wav, flac, ogg, opus, "
            f"mp3, aiff, au, caf, w64), **{len(tally.failures)} broken promises**. Answers: "
            f"{answers}. Inputs for which a C library printed to stderr itself: {noisy}. "
            f"{tally.inputs / tally.seconds:,.0f} inputs a second; slowest "
            f"{tally.slowest_seconds * 1000:.0f} ms of processor time. Allowed for an input: "
            f"{MAX_SECONDS:.0f} s, {MEMORY_CAP_BYTES >> 20} MiB above the start. {machine()}, "
            f"libsndfile {soundfile.__libsndfile_version__}."
        ),
    )


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, metavar="FILE.md")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), metavar="DIR")
    arguments = parser.parse_args()
    tally = run(arguments.inputs, arguments.seed, progress=True)
    command = f"python -m research.reliability.fuzz_audio --inputs {arguments.inputs} --seed {arguments.seed}"  # noqa: E501
    write_section(_section(tally, command), arguments.write)
    print(json.dumps({"inputs": tally.inputs, "failed": len(tally.failures)} | tally.answers))
    if tally.failures:
        _keep_failures(tally, arguments.seed, arguments.failures)
        sys.exit(1)


def _keep_failures(tally: AudioTally, seed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = good_files()
    for index, problem in tally.failures[:100]:
        file = damaged_file(files, seed, index)
        path = folder / f"{index:06}.{file.suffix}"
        path.write_bytes(file.data)
        print(f"{path}: {file.format}, {file.damage}: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main()
