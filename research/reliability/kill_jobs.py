"""The jobs that are killed, and what must hold of their outputs at any moment and at the end.

Each compares with the output of a run that was left alone: no file under its final name may differ
from it by a byte, apart from what names the clock.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from bandtok.checkpoint import CONFIG_FILE, ModelSpec
from bandtok.data.shards import INDEX_NAME, TokenCorpus
from bandtok.errors import BandTokError
from bandtok.model_specs import LM_SPEC, TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.tokens.token_file import read_token_file
from bandtok.torch_checkpoint import load_network
from bandtok.training.loop import read_metrics

_CLOCK = ("minutes", "seconds_per_step")
_KINDS: dict[str, ModelSpec] = {
    "tokenizer": TOKENIZER_SPEC,
    "vocoder": VOCODER_SPEC,
    "lm": LM_SPEC,
}
Check = Callable[[Path, Path], list[str]]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command, run in a folder of its own that holds `music`, and `out` afterwards.

    Attributes:
        name: "encode", "tokenize", "tokenizer", "vocoder" or "lm".
        start: arguments of the first run, given that folder.
        resume: what is added to go on.
        source: folder of what it reads; copied to `music`.
        half: lists what is wrong with `out` after a kill, given the undisturbed one.
        differences: lists what differs at the end.
        kept: pattern below `out` of files that a later run must not touch.
    """

    name: str
    start: Callable[[Path], list[str]]
    source: Path
    half: Check
    differences: Check
    resume: Sequence[str] = ()
    kept: str | None = None


def make_music(folder: Path, number: int, seconds: float, seed: int = 0) -> Path:
    """Write short mono files of tones and noise; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for index in range(number):
        samples = int(44_100 * seconds * rng.uniform(0.6, 1.4))
        pitch = 440 * 2 ** rng.uniform(-2, 2)
        tone = 0.3 * np.sin(2 * np.pi * pitch / 44_100 * np.arange(samples))
        soundfile.write(folder / f"{index:02d}.wav", tone + rng.normal(0, 0.05, samples), 44_100)
    return folder


def file_jobs(work: Path, tracks: int) -> dict[str, Job]:
    """Return the jobs that make many files, on `tracks` sounds made below `work`."""
    music = make_music(work / "music-many", tracks, 2.0)
    quick = ["--model", "debug", "--device", "cpu", "--quiet"]
    return {
        "encode": Job(
            name="encode",
            start=lambda at: ["encode", str(at / "music"), "-o", str(at / "out"), *quick],
            source=music,
            half=_foreign_files,
            differences=_other_files,
            kept="*.btk",
        ),
        "tokenize": Job(
            name="tokenize",
            start=lambda at: [
                *("data", "tokenize", str(at / "music"), "--output", str(at / "out")),
                *("--offsets", "2", *quick),
            ],
            source=music,
            half=_foreign_files,
            differences=_other_files,
            kept="codes/*.npy",
        ),
    }


def training_jobs(work: Path, shards: Path, steps: int) -> dict[str, Job]:
    """Return the training jobs; the language model learns from `shards`."""
    music = make_music(work / "music-few", 3, 3.0, seed=1)
    numbers = {"steps": steps, "log_every": 1, "save_every": 1, "validate_every": 3}
    settings = [part for key, value in numbers.items() for part in ("--set", f"{key}={value}")]

    def job(kind: str, source: Path) -> Job:
        return Job(
            name=kind,
            start=lambda at: [
                *("train", kind, "debug", "--data", str(at / "music")),
                *("--output", str(at / "out"), "--quiet", *settings),
            ],
            source=source,
            half=lambda out, _: _half_run(out, kind),
            differences=_other_run,
            resume=["--resume"],
        )

    return {
        kind: job(kind, shards if kind == "lm" else music)
        for kind in ("tokenizer", "vocoder", "lm")
    }


def prepare(job: Job, at: Path) -> None:
    """Make the folder of one chain of runs."""
    at.mkdir(parents=True)
    shutil.copytree(job.source, at / "music")


def unfinished(at: Path) -> list[Path]:
    """Return what writers have left under temporary names below a chain's folder."""
    return [
        path
        for path in at.rglob("*")
        if path.name.startswith(".") and path.name != ".bandtok-cache"
    ]


def _final_files(out: Path) -> dict[str, Path]:
    """Return the files under final names, by their place below `out`."""
    places = {path.relative_to(out): path for path in out.rglob("*") if path.is_file()}
    return {
        place.as_posix(): path
        for place, path in places.items()
        if not any(part.startswith(".") for part in place.parts)
    }


def _foreign_files(out: Path, reference: Path) -> list[str]:
    """Every file under its final name is the one of the undisturbed run, and reads."""
    expected, wrong = _final_files(reference), []
    for name, path in _final_files(out).items():
        if name not in expected or not _same_file(expected[name], path):
            wrong.append(f"{name} is not the file of the undisturbed run")
        elif path.suffix == ".btk":
            wrong += _failure(lambda path=path: read_token_file(path))  # type: ignore[misc]
    if (out / INDEX_NAME).exists():
        corpus = TokenCorpus(out)
        wrong += _failure(lambda: [corpus.codes(shard) for shard in corpus.shards])
    return wrong


def _same_file(one: Path, other: Path) -> bool:
    """Compare bytes; of safetensors the tensors, whose header has no fixed order of its notes."""
    if one.suffix != ".safetensors":
        return one.read_bytes() == other.read_bytes()
    return not _different(load_file(one), load_file(other))


def _other_files(out: Path, reference: Path) -> list[str]:
    missing = _final_files(reference).keys() - _final_files(out).keys()
    return [f"{name} is missing" for name in sorted(missing)] + _foreign_files(out, reference)


def _half_run(out: Path, kind: str) -> list[str]:
    """Every state, model, setting and line of numbers reads."""
    wrong = []
    for state in (out / "state").glob("step-*"):
        wrong += _failure(lambda state=state: _read_state(state))  # type: ignore[misc]
    if (out / "model" / CONFIG_FILE).exists():
        wrong += _failure(lambda: load_network(_KINDS[kind], out / "model"))
    if (out / "recipe.json").exists():
        wrong += _failure(lambda: json.loads((out / "recipe.json").read_bytes()))
    if (out / "metrics.jsonl").exists():
        wrong += _failure(lambda: read_metrics(out))
    return wrong


def _read_state(folder: Path) -> dict[str, torch.Tensor]:
    if json.loads((folder / "state.json").read_text())["step"] != int(folder.name[5:]):
        raise ValueError(f"{folder.name} says another step")
    return load_file(folder / "tensors.safetensors")


def _other_run(out: Path, reference: Path) -> list[str]:
    """State tensors, exported model, pictures and logged numbers, bit for bit."""
    names = [
        sorted(path.name for path in (run / "state").glob("step-*")) for run in (out, reference)
    ]
    if names[0] != names[1]:
        return [f"states {names[0]}; expected {names[1]}"]
    wrong = []
    for name in names[0]:
        ours, theirs = (_read_state(run / "state" / name) for run in (out, reference))
        wrong += [f"{name}: tensor {key} differs" for key in _different(ours, theirs)]
    for part in ("model", "pictures"):
        wrong += _other_files(out / part, reference / part)
    return wrong + _other_numbers(out, reference)


def _different(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> list[str]:
    """Return the names of tensors that are not alike to the last bit, or not in both."""
    common = ours.keys() & theirs.keys()
    return sorted(
        {key for key in common if _bits(ours[key]) != _bits(theirs[key])}
        | (ours.keys() ^ theirs.keys())
    )


def _bits(tensor: torch.Tensor) -> tuple[str, list[int], bytes]:
    return str(tensor.dtype), list(tensor.shape), tensor.numpy().tobytes()


def _other_numbers(out: Path, reference: Path) -> list[str]:
    """A step that was played twice must have logged the same twice."""
    expected = {_name_of(line): _timeless(line) for line in read_metrics(reference)}
    found = [(_name_of(line), _timeless(line)) for line in read_metrics(out)]
    wrong = [f"numbers of {name} differ" for name, line in found if line != expected.get(name)]
    missing = expected.keys() - dict(found).keys()
    return wrong + [f"numbers of {name} are missing" for name in sorted(missing)]


def _name_of(line: dict[str, Any]) -> str:
    return f"{line['part']} {line['step']}"


def _timeless(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in _CLOCK}


def _failure(read: Callable[[], object]) -> list[str]:
    try:
        read()
    except (BandTokError, SafetensorError, OSError, ValueError, KeyError) as error:
        return [f"{type(error).__name__}: {error}"]
    return []
