"""Clips of a folder and excerpts of a reference: chosen, cut to one length, analyzed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import MANIFEST_NAME, Track, load_manifest
from bandtok.errors import AudioError, DataError
from bandtok.evaluation.clip_sets import AnalyzedClip, ClipAnalyzer
from bandtok.evaluation.embedders import ClapEmbedder
from bandtok.evaluation.excerpts import Excerpt, choose_excerpts, load_excerpt, spread
from bandtok.evaluation.long_clips import before_limiter
from bandtok.evaluation.prompts import ControlPrompt, prompt_numbers
from bandtok.signal.audio import Audio, load_audio, probe_audio
from bandtok.signal.find_files import find_audio_files
from bandtok.tagger import Tagger, load_tagger

Progress = Callable[[int, int], None]
_RATE = 44_100
LEAST_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class ClipPrompt:
    """A clip's prompt, by number and text; neither without prompts."""

    number: int | None
    text: str


@dataclass(frozen=True, kw_only=True)
class AnalyzedFile:
    """A clip that could be used."""

    analysis: AnalyzedClip
    msd_tags: np.ndarray | None
    requested: ClipPrompt
    clap: float | None


class Steps:
    """Counts steps and calls `progress`."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def one_more(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(min(self._done, self._total), self._total)


def choose_files(folder: Path, max_clips: int | None) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"no such folder of clips: {os.fspath(folder)!r}")
    files = find_audio_files(folder)
    if not files:
        raise DataError(f"no audio below {os.fspath(folder)!r}; expected a folder of clips")
    if max_clips is None or max_clips >= len(files):
        return files
    return [files[int((index + 0.5) * len(files) / max_clips)] for index in range(max_clips)]


def median_seconds(files: Sequence[Path]) -> float:
    lengths = []
    for path in files:
        try:
            lengths.append(probe_audio(path).seconds)
        except AudioError:
            continue
    if not lengths:
        raise DataError(f"none of {len(files)} clips can be read; expected audio")
    return max(round(float(np.median(lengths)), 3), LEAST_SECONDS)


def has_manifest(reference: str | os.PathLike[str]) -> bool:
    """Return whether a reference is a corpus or a plain folder."""
    path = Path(reference)
    return path.is_file() or (path / MANIFEST_NAME).is_file()


def reference_tracks(reference: str | os.PathLike[str], split: str | None) -> list[Track]:
    wanted = (
        (split,) if split and has_manifest(reference) else None
    )  # a plain folder is taken whole
    tracks = load_manifest(reference, wanted)
    if not tracks:
        raise DataError(f"no track of {os.fspath(reference)!r} is in split {split!r}")
    return tracks


def spread_excerpts(tracks: Sequence[Track], count: int, seconds: float) -> list[Excerpt]:
    """Choose about `count` excerpts spread evenly over the tracks."""
    per_track = -(-count // len(tracks))
    excerpts = choose_excerpts(tracks, seconds, per_track)
    return [excerpts[index] for index in spread(excerpts, count)]


def clip_prompts(
    files: Sequence[Path], prompts: Sequence[ControlPrompt] | None
) -> list[ClipPrompt]:
    if not prompts:
        return [ClipPrompt(number=None, text="")] * len(files)
    numbers = prompt_numbers([path.name for path in files], len(prompts))
    return [ClipPrompt(number=number, text=prompts[number].text) for number in numbers]


def analyze_files(
    files: Sequence[Path],
    requested: Sequence[ClipPrompt],
    seconds: float,
    analyzer: ClipAnalyzer,
    clap_name: str | None,
    tokenizer: Tokenizer | None,
    left_out: list[str],
    steps: Steps,
) -> list[AnalyzedFile]:
    """Measure clips; DataError if none can be used."""
    analyzed = []
    clap = ClapEmbedder(clap_name) if clap_name else None
    msd = load_tagger("msd") if any(wanted.text for wanted in requested) else None
    for path, wanted in zip(files, requested, strict=True):
        audio = _read_file(path, seconds, left_out)
        if audio:
            score = (
                clap.score(audio.waveform[0], audio.sample_rate, wanted.text)
                if clap and wanted.text
                else None
            )
            analysis = analyzer.analyze(path.name, audio)
            drift = before_limiter(analysis.drift, path, tokenizer)
            analyzed.append(
                AnalyzedFile(
                    analysis=replace(analysis, drift=drift),
                    msd_tags=None if msd is None else _mean_tag_row(msd, audio),
                    requested=wanted,
                    clap=score,
                )
            )
        steps.one_more()
    if not analyzed:
        raise DataError(f"none of {len(files)} clips could be used; first reason: {left_out[0]}")
    return analyzed


def _mean_tag_row(tagger: Tagger, audio: Audio) -> np.ndarray:
    """Return a clip's probabilities [labels], averaged over its windows."""
    row: np.ndarray = tagger.predict(audio.mono().waveform[0], audio.sample_rate).tags.mean(axis=0)
    return row


def _read_file(path: Path, seconds: float, left_out: list[str]) -> Audio | None:
    try:
        audio = load_audio(path, sample_rate=_RATE, mono=True)
    except AudioError as error:
        left_out.append(f"{path.name}: {error}")
        return None
    return _cut(audio, seconds, path.name, left_out)


def read_excerpts(
    excerpts: Sequence[Excerpt], folder: Path, left_out: list[str]
) -> Iterator[tuple[Excerpt, Audio]]:
    for excerpt in excerpts:
        try:
            audio = load_excerpt(excerpt, folder, _RATE)
        except AudioError as error:
            left_out.append(f"{excerpt.track.path}: {error}")
            continue
        cut = _cut(audio, excerpt.seconds, excerpt.track.path, left_out)
        if cut:
            yield excerpt, cut


def _cut(audio: Audio, seconds: float, name: str, left_out: list[str]) -> Audio | None:
    samples = audio.waveform[:, : round(seconds * audio.sample_rate)]
    if samples.shape[1] < LEAST_SECONDS * audio.sample_rate:
        left_out.append(f"{name}: shorter than {LEAST_SECONDS} s")
        return None
    return Audio(samples, audio.sample_rate)
