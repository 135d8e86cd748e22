"""A run from a recipe's name and a data folder: data prepared, task built, loop started."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bandtok.backends import Runtime, load_text_encoder
from bandtok.checkpoint import check_shapes
from bandtok.data.manifest import Track, load_manifest, manifest_folder
from bandtok.data.shards import TokenCorpus
from bandtok.data.waveforms import WaveformStore
from bandtok.device import choose_device
from bandtok.errors import ConfigError, DataError
from bandtok.lm.model import MusicLM
from bandtok.model_specs import LM_SPEC, RERANKER_SPEC, TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.torch_checkpoint import load_network, network_fingerprint
from bandtok.training.captioned_windows import has_beats
from bandtok.training.find_recipe import changed_settings, start_settings
from bandtok.training.joint import JointTask, JointTraining
from bandtok.training.lm import LMTask
from bandtok.training.loop import LoopResult, TrainingTask, run_loop
from bandtok.training.model_card import describe_shards, describe_tracks, write_cards
from bandtok.training.reranker import RerankerTask
from bandtok.training.residual import ResidualTask, ResidualTraining
from bandtok.training.run_record import RunRecord, load_record, resumed_settings
from bandtok.training.settings import describe
from bandtok.training.state import has_state, newest_step
from bandtok.training.tokenizer import TokenizerTask
from bandtok.training.vocoder import VocoderTask

CACHE_FOLDER = ".bandtok-cache"


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """Where a run reports its progress; every part may be None.

    Attributes:
        preparing: called with (tracks ready, tracks in all).
        training: called with (steps done, steps in all, numbers).
        line: called with (text, whether to keep it in view) for every line of train.log.
        warn: called with one line of text.
    """

    preparing: Callable[[int, int], None] | None = None
    training: Callable[[int, int, dict[str, float]], None] | None = None
    line: Callable[[str, bool], None] | None = None
    warn: Callable[[str], None] | None = None


def train(
    kind: str,
    recipe: str,
    *,
    data: Path | Sequence[Path],
    out: Path,
    resume: bool = False,
    init: str | None = None,
    settings: Mapping[str, str] | None = None,
    max_minutes: float | None = None,
    cache: Path | None = None,
    report: RunReport | None = None,
) -> LoopResult:
    """Train a network.

    Args:
        kind: "tokenizer", "vocoder", "lm" or "reranker".
        recipe: name of a function in the kind's recipe module; or a file like a run's recipe.json,
            whose settings replace those of the recipe that it names.
        data: folder with a manifest, or any folder of audio, or several of them, whose music is
            put together (for "lm" and "reranker": one folder of token shards).
        out: run folder.
        resume: go on from the newest state in `out`, with the run's own settings and data; what
            `settings` and `data` change is said and recorded.
        init: setting `init` of the recipe: "bundled", a name, folder or run.
        settings: recipe fields to replace, as text.
        max_minutes: stop after this many minutes of training.
        cache: folder for decoded copies of music; None keeps them in `CACHE_FOLDER` of each folder
            of data.
        report: progress.

    Raises:
        ConfigError: unknown kind, recipe or setting. DataError: no usable data.
        CheckpointError: the state in `out` does not fit. TrainingError: non-finite numbers.
    """
    settings = dict(settings or {}) | ({} if init is None else {"init": init})
    report, folders = report or RunReport(), [data] if isinstance(data, Path) else list(data)
    _claim_folder(out, resume)
    before = load_record(out) if resume else None
    recipe, start = start_settings(kind, recipe)
    if before and (before.kind, before.recipe) != (kind, recipe):
        raise ConfigError(f"{out} is a run of {before.kind} {before.recipe}; got {kind} {recipe}")
    complete = resumed_settings(before, start, settings, out)
    named = [str(folder.resolve()) for folder in folders]
    record = RunRecord(kind=kind, recipe=recipe, settings=describe(complete), data=named)
    task = _BUILDERS[kind](complete, source := _Source(folders, cache, out / "cache"), report)
    resumes = resume and has_state(out / "state")
    if complete.init and not resumes:
        _start_from(task, load_network(_NETWORK_KINDS[kind], _name(complete.init)))
    result = run_loop(
        task,
        complete.loop,
        out,
        resume=resume,
        max_minutes=max_minutes,
        report=report.training,
        on_line=_Recorder(before if resumes else None, record, out, report),
    )
    write_cards(out, record, source.notes, changed_settings(record), result)
    return result


class _Recorder:
    """Keeps the record of a run from the first line on, when its state has been loaded."""

    def __init__(
        self, before: RunRecord | None, record: RunRecord, out: Path, report: RunReport
    ) -> None:
        self._before, self._record, self._out, self._report = before, record, out, report
        self._done = False

    def __call__(self, text: str, keep: bool) -> None:
        if not self._done:
            self._done = True
            self._keep()
        if self._report.line:
            self._report.line(text, keep)

    def _keep(self) -> None:
        if self._before is None:
            self._record.save(self._out)
            return
        changes = self._before.changed(self._record)
        if changes:
            step = newest_step(self._out / "state")
            self._before.continued(self._record, step).save(self._out)
        if self._report.warn:
            for path, (old, new) in changes.items():
                self._report.warn(f"{path} is changed from {old!r} to {new!r}")


@dataclass(frozen=True)
class _Source:
    """Folders of data, and where decoded copies are kept.

    Attributes:
        folders: of the data.
        cache: for the copies of all folders; None for one inside each.
        spare_cache: for those of folders that cannot be written.
        notes: a line about each folder, once it has been read.
    """

    folders: Sequence[Path]
    cache: Path | None
    spare_cache: Path
    notes: list[str] = field(default_factory=list)


def _start_from(task: TrainingTask, start: nn.Module) -> None:
    """Take over weights; not a codebook that this run will start by k-means anyway.

    Beat conditioning or optional parts of the decoder that the weights lack start untrained.
    """
    weights, target = start.state_dict(), task.network
    if isinstance(task, JointTask):
        target = task.network.vocoder
    if isinstance(task, TokenizerTask) and not task.recipe.keeps_codebook:
        fresh = task.network.quantizer.state_dict(prefix="quantizer.")
        weights = {k: v for k, v in weights.items() if not k.startswith("quantizer.")} | fresh
    if isinstance(target, MelTokenizer):
        weights = target.untrained_decoder_parts(weights) | weights
    if isinstance(target, MusicLM):
        weights = target.beat_weights() | weights
    check_shapes(target.state_dict(), {k: tuple(v.shape) for k, v in weights.items()}, "--init")
    target.load_state_dict(weights)
    if isinstance(task, TokenizerTask) and task.recipe.keeps_codebook:
        task.rule.keep()


def _claim_folder(out: Path, resume: bool) -> None:
    if (out / "state").exists() and not resume:
        raise ConfigError(f"{out} holds a run already; add --resume to go on, or name a new folder")
    out.mkdir(parents=True, exist_ok=True)


def _stores(source: _Source, sample_rate: int, report: RunReport) -> dict[str, WaveformStore]:
    """Decode the train and valid tracks once, into a cache folder beside each manifest."""
    tracks = {folder: load_manifest(folder) for folder in source.folders}
    caches = {folder: _cache(manifest_folder(folder), source, report) for folder in tracks}
    source.notes.extend(describe_tracks(*one) for one in tracks.items())
    stores = {}
    for split in ("train", "valid"):
        stores[split] = WaveformStore.joined(
            WaveformStore(
                chosen,
                manifest_folder(folder),
                caches[folder],
                sample_rate,
                progress=report.preparing,
                warn=report.warn,
            )
            for folder, chosen in _of_split(tracks, split).items()
            if chosen
        )
    if report.line:
        bytes_ = sum(
            file.stat().st_size for cache in set(caches.values()) for file in cache.iterdir()
        )
        places = ", ".join(sorted(map(str, set(caches.values()))))
        report.line(f"decoded copies of music: {bytes_ / 1e6:.0f} MB in {places}", True)
    return stores


def _of_split(tracks: Mapping[Path, list[Track]], split: str) -> dict[Path, list[Track]]:
    chosen = {
        folder: [track for track in own if track.split == split] for folder, own in tracks.items()
    }
    if not any(chosen.values()) and split == "valid":  # a small folder of one's own
        chosen = {folder: own[-1:] for folder, own in tracks.items()}
    if not any(chosen.values()):
        named = ", ".join(str(folder) for folder in tracks)
        raise DataError(f"{named} has no tracks in split {split!r}; make a manifest with some")
    return chosen


def _cache(root: Path, source: _Source, report: RunReport) -> Path:
    cache = source.cache or root / CACHE_FOLDER
    if source.cache or os.access(cache if cache.exists() else root, os.W_OK):
        return cache
    if report.warn:
        report.warn(f"{root} cannot be written; decoded copies go to {source.spare_cache}")
    return source.spare_cache


def _tokenizer_task(recipe: Any, data: _Source, report: RunReport) -> TrainingTask:
    if recipe.keeps_codebook and not recipe.init:
        raise ConfigError(
            "freeze_codes and keep_codebook need a tokenizer to begin with; name one with --init"
        )
    stores = _stores(data, recipe.network.mel.sample_rate, report)
    if isinstance(recipe, ResidualTraining):
        return ResidualTask(recipe, stores["train"], stores["valid"])
    return TokenizerTask(recipe, stores["train"], stores["valid"])


def _vocoder_task(recipe: Any, data: _Source, report: RunReport) -> TrainingTask:
    stores = _stores(data, recipe.network.mel.sample_rate, report)
    tokenizer = None
    if recipe.tokenizer:
        tokenizer = load_network(TOKENIZER_SPEC, _name(recipe.tokenizer))
    if isinstance(recipe, JointTraining):
        if tokenizer is None:
            raise ConfigError("joint training needs a tokenizer; got --set tokenizer= (nothing)")
        return JointTask(recipe, stores["train"], stores["valid"], tokenizer)
    return VocoderTask(recipe, stores["train"], stores["valid"], tokenizer)


def _music_lm_task(recipe: Any, data: _Source, report: RunReport) -> TrainingTask:
    corpus, codebook = _shards(data), None
    if recipe.network.beat_conditioning and not has_beats(corpus) and report.warn:
        report.warn(
            f"{corpus.folder} knows no beats, so beat conditioning stays as it is; run 'bandtok "
            "data describe' on the music and tokenize again, or leave it out with "
            "--set beat_conditioning=false"
        )
    encoder = load_text_encoder(
        recipe.network.text_encoder, Runtime(device=choose_device(recipe.device), backend="torch")
    )
    if recipe.tokenizer:
        tokenizer = _tokenizer_of(recipe, corpus)
        codebook = _start_codebook(tokenizer, recipe.network.rows_share_codes)
    return LMTask(recipe, corpus, encoder, codebook)


def _reranker_task(recipe: Any, data: _Source, report: RunReport) -> TrainingTask:
    corpus, codebook = _shards(data), None
    encoder = load_text_encoder(
        recipe.network.text_encoder, Runtime(device=choose_device(recipe.device), backend="torch")
    )
    if recipe.tokenizer:
        codebook = _start_codebook(_tokenizer_of(recipe, corpus), rows_share_codes=True)
    return RerankerTask(recipe, corpus, encoder, codebook)


def _shards(data: _Source) -> TokenCorpus:
    if len(data.folders) != 1:
        raise ConfigError(
            f"got {len(data.folders)} folders of shards; expected one, of all corpora together: "
            "'bandtok data tokenize CORPUS CORPUS --output DIR'"
        )
    corpus = TokenCorpus(data.folders[0])
    data.notes.append(describe_shards(corpus))
    return corpus


def _tokenizer_of(recipe: Any, corpus: TokenCorpus) -> MelTokenizer:
    """Return the tokenizer that the recipe names, whose codes the shards must be."""
    tokenizer: MelTokenizer = load_network(TOKENIZER_SPEC, _name(recipe.tokenizer))
    if network_fingerprint(tokenizer) != corpus.tokenizer.fingerprint:
        raise ConfigError(
            f"{corpus.folder} was not tokenized by {recipe.tokenizer!r}; name the tokenizer with "
            "--set tokenizer=NAME, or --set tokenizer= to start from random code vectors"
        )
    return tokenizer


def _name(model: str) -> str | None:
    """Return how `load_network` calls a model."""
    return None if model == "bundled" else model


def _start_codebook(tokenizer: MelTokenizer, rows_share_codes: bool) -> Tensor | None:
    """Return the entries that code vectors start from, of all rows or of each.

    None if the tokenizer's rows have codebooks of their own and the language model's have not.
    """
    codebooks = [one.codebook for one in tokenizer.quantizer.codebooks()]
    if len(codebooks) == 1:
        return codebooks[0]
    return None if rows_share_codes else torch.stack(codebooks)


_BUILDERS: dict[str, Callable[[Any, _Source, RunReport], TrainingTask]] = {
    "tokenizer": _tokenizer_task,
    "vocoder": _vocoder_task,
    "lm": _music_lm_task,
    "reranker": _reranker_task,
}
_NETWORK_KINDS = {
    "tokenizer": TOKENIZER_SPEC,
    "vocoder": VOCODER_SPEC,
    "lm": LM_SPEC,
    "reranker": RERANKER_SPEC,
}
