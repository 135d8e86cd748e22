"""Generated clips to numbers: beside real music, beside baselines, and against their prompts.

    folder of clips, reference folder or corpus -> GenerationReport

Writes nothing; see :mod:`bandtok.evaluation.report`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import MANIFEST_NAME, Track, load_manifest, manifest_folder
from bandtok.errors import AudioError, ConfigError, DataError
from bandtok.evaluation.baselines import NOISE, TOKEN_BASELINES, noise_like, reordered
from bandtok.evaluation.copies import Copies, find_copies
from bandtok.evaluation.embedders import ClapJudge, load_embedder
from bandtok.evaluation.excerpts import Excerpt, choose_excerpts, load_excerpt, spread
from bandtok.evaluation.judged import Judge, JudgedClip, SetMeasures, compare_sets
from bandtok.evaluation.prompts import CONCEPTS, MSD_CONCEPTS, ControlPrompt, prompt_numbers
from bandtok.evaluation.statistics import Estimate, bootstrap_mean
from bandtok.evaluation.tag_measures import TextControl, text_control
from bandtok.signal.audio import Audio, find_audio_files, load_audio, probe_audio
from bandtok.tagger import MSD_LABELS, Tagger, load_tagger

Progress = Callable[[int, int], None]
_RATE = 44_100
_LEAST_SECONDS = 0.5
_CODED_REFERENCE, _CODED_TRAIN = TOKEN_BASELINES[0].name, "tokens, train"


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """What is measured.

    Attributes:
        split: of the reference's manifest; None takes every track.
        seconds: every clip is cut to this length; None takes the median of the clips.
        max_clips: use only this many clips, spread evenly; None uses all.
        embedder: what the distances are taken on; see load_embedder.
        baselines: also measure noise, real music against real music, and, given a tokenizer, the
            reference's tokens in right and wrong order, and all beside the reference's tokens.
        clap: folder or hub id of a CLAP model that scores clips against their prompts.
        seed: of noise and shuffling.
    """

    split: str | None = "test"
    seconds: float | None = None
    max_clips: int | None = None
    embedder: str = "musicnn"
    baselines: bool = False
    clap: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds < _LEAST_SECONDS:
            raise ConfigError(f"got clips of {self.seconds} s; expected at least {_LEAST_SECONDS}")
        if self.max_clips is not None and self.max_clips < 1:
            raise ConfigError(f"got {self.max_clips} clips; expected at least 1")


@dataclass(frozen=True, kw_only=True)
class MeasuredSet:
    """One row of the table.

    Attributes:
        name, does: what the clips are.
        measures: beside the reference.
    """

    name: str
    does: str
    measures: SetMeasures


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """One clip, for the table of clips."""

    name: str
    prompt: str
    top_tags: tuple[str, ...]
    level_dbfs: float
    movement: float
    novelty: float
    silent: bool
    frozen: bool


@dataclass(frozen=True, kw_only=True)
class GenerationReport:
    """Everything measured in one run.

    Attributes:
        settings: what was asked for.
        seconds: length that all clips were cut to.
        reference: what the reference's own clips are like; its distances are to itself.
        sets: the clips first, then the baselines.
        coded: the clips, and training music through the tokenizer, beside the reference through the
            tokenizer: how near they are, what codes cannot hold left aside. Empty without baselines
            or a tokenizer.
        tags: mean probability of each tag as (clips, reference).
        control: how well clips follow their prompts, by the MTT tagger; None without enough
            prompts.
        control_msd: the same by the MSD tagger, which has captioned training music.
        clap: mean CLAP score of clips and prompts; None without either.
        copies: None without training shards.
        clips: by file.
        left_out: one line for each clip that could not be used.
    """

    settings: GenerationSettings
    seconds: float
    reference: SetMeasures
    sets: tuple[MeasuredSet, ...]
    coded: tuple[MeasuredSet, ...]
    tags: dict[str, tuple[float, float]]
    control: TextControl | None
    control_msd: TextControl | None
    clap: Estimate | None
    copies: Copies | None
    clips: tuple[ClipFacts, ...]
    left_out: tuple[str, ...]


def evaluate_generation(
    clips: str | os.PathLike[str],
    reference: str | os.PathLike[str],
    settings: GenerationSettings | None = None,
    *,
    prompts: Sequence[ControlPrompt] | None = None,
    train: str | os.PathLike[str] | None = None,
    tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
) -> GenerationReport:
    """Judge a folder of clips.

    Args:
        clips: folder of audio; a .btk file beside a clip holds its tokens.
        reference: folder of audio, or a corpus with a manifest.
        settings: what to measure; None means the defaults.
        prompts: what the clips were asked to be, in the order of their numbers.
        train: folder of token shards to look for copies in.
        tokenizer: makes the baselines of tokens.
        progress: called with (steps done, steps in all).

    Raises:
        DataError: if no clip or no reference track can be used, or prompts or shards do not fit.
        MissingDependency: if the judges' weights are not installed.
    """
    settings = settings or GenerationSettings()
    files = _chosen_files(Path(clips), settings.max_clips)
    asked = _asked(files, prompts)
    seconds = settings.seconds or _median_seconds(files)
    tracks, folder = _reference_tracks(reference, settings.split), manifest_folder(reference)
    excerpts = _as_many(tracks, len(files), seconds)
    steps = _Steps(len(files) + len(excerpts), progress)
    judge = _judge(settings.embedder)
    left_out: list[str] = []
    heard = list(_hear_files(files, asked, seconds, judge, settings.clap, left_out, steps))
    if not heard:
        raise DataError(f"none of {len(files)} clips could be used; first reason: {left_out[0]}")
    made = [clip.judged for clip in heard]
    real = []
    for excerpt, audio in _read_excerpts(excerpts, folder, left_out):
        real.append(judge.hear(excerpt.track.path, audio))
        steps.one_more()
    if not real:
        raise DataError(f"no clip of the reference could be used; first reason: {left_out[0]}")

    own = _HeardSet(name="clips", does="what is judged", clips=made)
    sets = [own.beside(real)]
    coded: list[MeasuredSet] = []
    if settings.baselines:
        rivals = _baselines(judge, excerpts, folder, tokenizer, settings)
        trained = _training_music(judge, reference, len(excerpts), seconds, tokenizer, settings)
        sets += [one.beside(real) for one in (*rivals, *trained)]
        if not trained:
            sets += _halves(real)
        coded = _both_coded(own, (*rivals, *trained))
    again = (audio for _, audio in _read_excerpts(excerpts, folder, []))
    return GenerationReport(
        settings=settings,
        seconds=seconds,
        reference=compare_sets(real, real),
        sets=tuple(sets),
        coded=tuple(coded),
        tags=_mean_tags(judge.labels, made, real),
        control=_control(judge.labels, heard, prompts, CONCEPTS, left_out),
        control_msd=_control(MSD_LABELS, heard, prompts, MSD_CONCEPTS, left_out),
        clap=_mean_clap(heard),
        copies=find_copies(files, train, again, tokenizer) if train else None,
        clips=tuple(_facts(clip, judge.labels) for clip in heard),
        left_out=tuple(left_out),
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What a clip was asked to be: its prompt's number and text; none of both without prompts."""

    number: int | None
    text: str


@dataclass(frozen=True, kw_only=True)
class _HeardClip:
    """A clip that could be used."""

    judged: JudgedClip
    msd_tags: np.ndarray | None
    asked: _Asked
    clap: float | None


class _Steps:
    """Counts what is done and tells `progress`."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def one_more(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(min(self._done, self._total), self._total)


def _judge(embedder: str) -> Judge:
    tagger = load_tagger("mtt")
    return Judge(tagger, tagger if embedder == "musicnn" else load_embedder(embedder))


def _chosen_files(folder: Path, max_clips: int | None) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"no such folder of clips: {os.fspath(folder)!r}")
    files = find_audio_files(folder)
    if not files:
        raise DataError(f"no audio below {os.fspath(folder)!r}; expected a folder of clips")
    if max_clips is None or max_clips >= len(files):
        return files
    return [files[int((index + 0.5) * len(files) / max_clips)] for index in range(max_clips)]


def _median_seconds(files: Sequence[Path]) -> float:
    lengths = []
    for path in files:
        try:
            lengths.append(probe_audio(path).seconds)
        except AudioError:
            continue
    if not lengths:
        raise DataError(f"none of {len(files)} clips can be read; expected audio")
    return max(round(float(np.median(lengths)), 3), _LEAST_SECONDS)


def _reference_tracks(reference: str | os.PathLike[str], split: str | None) -> list[Track]:
    path = Path(reference)
    has_manifest = path.is_file() or (path / MANIFEST_NAME).is_file()
    wanted = (split,) if split and has_manifest else None  # a plain folder is taken whole
    tracks = load_manifest(reference, wanted)
    if not tracks:
        raise DataError(f"no track of {os.fspath(reference)!r} is in split {split!r}")
    return tracks


def _as_many(tracks: Sequence[Track], count: int, seconds: float) -> list[Excerpt]:
    """Choose about `count` excerpts spread evenly over the tracks."""
    per_track = -(-count // len(tracks))
    excerpts = choose_excerpts(tracks, seconds, per_track)
    return [excerpts[index] for index in spread(excerpts, count)]


def _asked(files: Sequence[Path], prompts: Sequence[ControlPrompt] | None) -> list[_Asked]:
    if not prompts:
        return [_Asked(number=None, text="")] * len(files)
    numbers = prompt_numbers([path.name for path in files], len(prompts))
    return [_Asked(number=number, text=prompts[number].text) for number in numbers]


def _hear_files(
    files: Sequence[Path],
    asked: Sequence[_Asked],
    seconds: float,
    judge: Judge,
    clap_name: str | None,
    left_out: list[str],
    steps: _Steps,
) -> Iterator[_HeardClip]:
    clap = ClapJudge(clap_name) if clap_name else None
    msd = load_tagger("msd") if any(wanted.text for wanted in asked) else None
    for path, wanted in zip(files, asked, strict=True):
        audio = _read_file(path, seconds, left_out)
        if audio:
            score = (
                clap.score(audio.waveform[0], audio.sample_rate, wanted.text)
                if clap and wanted.text
                else None
            )
            yield _HeardClip(
                judged=judge.hear(path.name, audio),
                msd_tags=None if msd is None else _mean_tag_row(msd, audio),
                asked=wanted,
                clap=score,
            )
        steps.one_more()


def _mean_clap(heard: Sequence[_HeardClip]) -> Estimate | None:
    scores = [clip.clap for clip in heard if clip.clap is not None]
    return bootstrap_mean(scores) if scores else None


def _mean_tag_row(tagger: Tagger, audio: Audio) -> np.ndarray:
    """Return a clip's probabilities [labels], averaged over its windows."""
    row: np.ndarray = tagger.listen(audio.mono().waveform[0], audio.sample_rate).tags.mean(axis=0)
    return row


def _read_file(path: Path, seconds: float, left_out: list[str]) -> Audio | None:
    try:
        audio = load_audio(path, sample_rate=_RATE, mono=True)
    except AudioError as error:
        left_out.append(f"{path.name}: {error}")
        return None
    return _cut(audio, seconds, path.name, left_out)


def _read_excerpts(
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
    if samples.shape[1] < _LEAST_SECONDS * audio.sample_rate:
        left_out.append(f"{name}: shorter than {_LEAST_SECONDS} s")
        return None
    return Audio(samples, audio.sample_rate)


@dataclass(frozen=True, kw_only=True)
class _HeardSet:
    """Clips that will be a row of a table."""

    name: str
    does: str
    clips: Sequence[JudgedClip]

    def beside(self, reference: Sequence[JudgedClip]) -> MeasuredSet:
        return MeasuredSet(
            name=self.name, does=self.does, measures=compare_sets(reference, self.clips)
        )


def _baselines(
    judge: Judge,
    excerpts: Sequence[Excerpt],
    folder: Path,
    tokenizer: Tokenizer | None,
    settings: GenerationSettings,
) -> list[_HeardSet]:
    kinds = (NOISE, *(TOKEN_BASELINES if tokenizer else ()))
    heard: dict[str, list[JudgedClip]] = {kind.name: [] for kind in kinds}
    generator = np.random.default_rng(settings.seed)
    for excerpt, audio in _read_excerpts(excerpts, folder, []):
        name = excerpt.track.path
        heard[NOISE.name].append(judge.hear(name, noise_like(audio, generator)))
        if tokenizer is None:
            continue
        grid = tokenizer.encode(audio)
        for kind in TOKEN_BASELINES:
            assert kind.reorder is not None
            sound = reordered(grid, kind.reorder, tokenizer, generator)
            heard[kind.name].append(judge.hear(name, sound))
    return [_HeardSet(name=kind.name, does=kind.does, clips=heard[kind.name]) for kind in kinds]


def _training_music(
    judge: Judge,
    reference: str | os.PathLike[str],
    count: int,
    seconds: float,
    tokenizer: Tokenizer | None,
    settings: GenerationSettings,
) -> list[_HeardSet]:
    """Hear training tracks of the same corpus, as they are and through the tokenizer.

    Nothing if the reference is no corpus, or is its training tracks.
    """
    path = Path(reference)
    corpus = path.is_file() or (path / MANIFEST_NAME).is_file()
    tracks: list[Track] = []
    if corpus and settings.split not in (None, "train"):
        tracks = load_manifest(reference, ("train",))
    if not tracks:
        return []
    heard: list[JudgedClip] = []
    coded: list[JudgedClip] = []
    chosen = _as_many(tracks, count, seconds)
    for excerpt, audio in _read_excerpts(chosen, manifest_folder(reference), []):
        heard.append(judge.hear(excerpt.track.path, audio))
        if tokenizer is not None:
            sound = tokenizer.decode(tokenizer.encode(audio))
            coded.append(judge.hear(excerpt.track.path, sound))
    does = "real music: excerpts of the corpus's training tracks"
    coded_does = "the same through the tokenizer: music of that kind as codes can hold it"
    found = (
        _HeardSet(name="real, train", does=does, clips=heard),
        _HeardSet(name=_CODED_TRAIN, does=coded_does, clips=coded),
    )
    return [one for one in found if one.clips]


def _halves(real: Sequence[JudgedClip]) -> list[MeasuredSet]:
    if len(real) < 2:
        return []
    does = "real music: every other reference clip against the rest, at half the number"
    return [_HeardSet(name="real, halves", does=does, clips=real[1::2]).beside(real[::2])]


def _both_coded(own: _HeardSet, rivals: Sequence[_HeardSet]) -> list[MeasuredSet]:
    """Measure clips and training music beside the reference through the tokenizer, if it was."""
    named = {one.name: one for one in rivals}
    if _CODED_REFERENCE not in named:
        return []
    trained = [named[_CODED_TRAIN]] if _CODED_TRAIN in named else []
    reference = named[_CODED_REFERENCE].clips
    return [one.beside(reference) for one in (own, *trained)]


def _mean_tags(
    labels: Sequence[str], made: Sequence[JudgedClip], real: Sequence[JudgedClip]
) -> dict[str, tuple[float, float]]:
    means = [np.mean([clip.tags for clip in clips], axis=0) for clips in (made, real)]
    return {
        label: (float(means[0][index]), float(means[1][index]))
        for index, label in enumerate(labels)
    }


def _control(
    labels: Sequence[str],
    heard: Sequence[_HeardClip],
    prompts: Sequence[ControlPrompt] | None,
    concepts: Mapping[str, Sequence[str]],
    left_out: list[str],
) -> TextControl | None:
    """Measure control by the tagger that has these labels."""
    if not prompts:
        return None
    rows = [clip.judged.tags if concepts is CONCEPTS else clip.msd_tags for clip in heard]
    tags = np.stack([row for row in rows if row is not None])
    numbers = [clip.asked.number for clip in heard if clip.asked.number is not None]
    wanted = [prompt.concepts for prompt in prompts]
    try:
        return text_control(tags, labels, numbers, wanted, concepts)
    except DataError as error:  # a few prompts of one's own: the rest can still be measured
        left_out.append(f"text control: {error}")
        return None


def _facts(heard: _HeardClip, labels: Sequence[str]) -> ClipFacts:
    clip = heard.judged
    top = np.argsort(-clip.tags)[:3]
    return ClipFacts(
        name=clip.name,
        prompt=heard.asked.text,
        top_tags=tuple(f"{labels[index]} {clip.tags[index]:.2f}" for index in top),
        level_dbfs=clip.sound.level_dbfs,
        movement=clip.sound.movement,
        novelty=clip.sound.novelty,
        silent=clip.sound.is_silent,
        frozen=clip.sound.is_frozen,
    )
