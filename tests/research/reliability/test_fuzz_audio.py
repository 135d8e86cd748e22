"""A short share of the loader's fuzzing, and that it would see a loader that is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bandtok.errors import AudioError
from bandtok.signal.audio import Audio
from research.reliability import fuzz_audio
from research.reliability.damaged_audio import AudioFile, damaged_file, good_files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="caps memory by way of /proc"),
]


def test_no_promise_is_broken() -> None:
    tally = fuzz_audio.run(480, seed=1)
    assert tally.failures == []
    assert tally.inputs == 480
    assert set(tally.answers) == {"read", "refused"}
    assert len(tally.damages) == 8


def test_a_number_gives_the_same_file() -> None:
    files = good_files()
    assert damaged_file(files, 0, 17) == damaged_file(good_files(), 0, 17)
    assert damaged_file(files, 0, 17) != damaged_file(files, 1, 17)


def nan(path: Path) -> Audio:
    audio = Audio(np.zeros((1, 10)), 8000)
    audio.waveform[0, 3] = np.nan
    return audio


def endless(path: Path) -> Audio:
    return Audio(np.zeros((1, 100_000), np.float32), 8000)


def crash(path: Path) -> Audio:
    raise RuntimeError("System error.")


def two_lines(path: Path) -> Audio:
    error = AudioError("")
    error.args = ("one\ntwo",)
    raise error


@pytest.mark.parametrize("loader", [nan, endless, crash, two_lines])
def test_a_wrong_loader_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loader: object
) -> None:
    monkeypatch.setattr(fuzz_audio, "load_audio", loader)
    assert fuzz_audio.load(AudioFile("WAV", "wav", b"12"), tmp_path).startswith("FAILURE")


@pytest.mark.parametrize(
    ("end", "problem"),
    [("os.abort()", "SIGABRT"), ("time.sleep(60)", "no answer"), ("os._exit(3)", "exit code 3")],
)
def test_a_child_that_dies_or_hangs_is_counted(end: str, problem: str) -> None:
    program = (
        "import os, time, multiprocessing; from research.reliability import fuzz_audio\n"
        "def child(start, stop, seed, sender):\n"
        "    for index in range(start, stop):\n"
        f"        if index == 3: {end}\n"
        "        sender.send(('cut', 'read', 0.0, ''))\n"
        "fuzz_audio._CONTEXT = multiprocessing.get_context('fork')\n"
        "fuzz_audio._child, fuzz_audio.MAX_SECONDS = child, 0.5\n"
        "tally = fuzz_audio.run(6, 0)\n"
        "assert tally.inputs == 6 and tally.answers == {'read': 5, 'FAILURE': 1}, tally\n"
        "print(tally.failures)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert problem in done.stdout
