"""Listening comparison: one excerpt as the original and as several systems reconstruct it.

    audio files, tokenizers -> ClipGroup per file: level-matched versions of equal length, measures

All versions start from the same tokens where their encoders agree. Measures are computed before
level matching, so that they agree with those of `bandtok evaluate reconstruction`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import BandTokError, ConfigError, DataError, MissingDependency
from bandtok.evaluation.excerpts import spread
from bandtok.evaluation.pitch_onsets import (
    PitchOnsetFeatures,
    onset_correlation,
    pitch_correlation,
    pitch_onset_features,
)
from bandtok.evaluation.reconstruction import compare_mels, log_mel
from bandtok.evaluation.signal_measures import peak_dbfs, total_variation_ratio
from bandtok.evaluation.systems import PreparedClip, named_systems, prepare, reconstruct
from bandtok.pages.clips import ClipGroup, PageClip
from bandtok.pages.sources import load_middle
from bandtok.signal.audio import Audio
from bandtok.signal.find_files import AUDIO_SUFFIXES, find_audio_files
from bandtok.signal.loudness import integrated_loudness
from bandtok.signal.mel import MelConfig

Progress = Callable[[int, int], None]

ORIGINAL, GRIFFIN_LIM = "original", "Griffin-Lim"
MAX_GAIN_DB = 20.0
"""Level matching changes the level of a version by at most this much relative to the original."""
_MAX_PEAK_DBFS = -1.0


def comparison_groups(
    sources: Sequence[Path],
    compared: Mapping[str, Tokenizer],
    current: Mapping[str, Tokenizer],
    *,
    files: int,
    seconds: float,
    progress: Progress | None = None,
) -> list[ClipGroup]:
    """Reconstruct excerpts from the middle of recordings by every system.

    Args:
        sources: audio files and folders; `files` of all their files are taken, evenly spaced.
        compared: other models by label, shown after Griffin-Lim.
        current: at least one model by label, shown last; the first one encodes the excerpt.
        files: maximum number of excerpts.
        seconds: length of an excerpt, rounded to whole token frames of the first current model.
        progress: called with (files done, all files).

    Returns:
        One group per file: original, Griffin-Lim, `compared`, `current`, all with the same rate
        and number of samples. A file that cannot be read leaves a note instead.

    Raises:
        DataError: if a source does not exist or holds no audio.
        ConfigError: if a label is used twice.
    """
    labels = [ORIGINAL, GRIFFIN_LIM, *compared, *current]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"got versions labeled {', '.join(labels)}; expected distinct labels")
    found = [pair for source in sources for pair in _titled_files(source)]
    chosen = [found[index] for index in spread(found, files)]
    groups = []
    for number, (title, path) in enumerate(chosen):
        groups.append(ClipGroup(title=title, clips=_versions(path, compared, current, seconds),
                                switchable=True))  # fmt: skip
        if progress:
            progress(number + 1, len(chosen))
    return groups


def reconstruction_measures(
    reference: Audio, estimate: Audio, features: PitchOnsetFeatures | None, config: MelConfig
) -> dict[str, str]:
    """Return measures of a reconstruction by name, formatted; an en dash where undefined.

    Args:
        reference, estimate: mono [1, samples] of equal length at the rate of `config`.
        features: of the reference; None omits pitch and onsets (librosa is not installed).
        config: mel settings.
    """
    mels = [log_mel(config)(audio.waveform[0]) for audio in (reference, estimate)]
    variation = total_variation_ratio(mels[0], mels[1], config)
    values: dict[str, float | None] = {
        "mel distance": compare_mels(mels[0], mels[1], config).all_bins,
        "flicker": variation.flicker,
        "grain": variation.grain,
    }
    if features:
        own = pitch_onset_features(estimate.waveform[0], estimate.sample_rate)
        values["pitch"] = pitch_correlation(features, own)
        values["onsets"] = onset_correlation(features, own)
    return {name: "–" if value is None else f"{value:.2f}" for name, value in values.items()}


def matching_gains_db(versions: Sequence[Audio]) -> list[float]:
    """Return one gain in dB per version that equalizes their integrated loudness (BS.1770-4).

    The first version sets the loudness. All are lowered together where a sample peak would exceed
    -1 dBFS, so that nothing is clipped or limited. Silence gets no gain of its own.
    """
    loudness = [integrated_loudness(audio.waveform, audio.sample_rate) for audio in versions]
    gains = [
        float(np.clip(loudness[0] - own, -MAX_GAIN_DB, MAX_GAIN_DB))
        if np.isfinite(loudness[0]) and np.isfinite(own)
        else 0.0
        for own in loudness
    ]
    peaks = [peak_dbfs(audio.waveform) for audio in versions]
    highest = max(
        (peak + gain for peak, gain in zip(peaks, gains, strict=True) if peak is not None),
        default=_MAX_PEAK_DBFS,
    )
    return [gain + min(0.0, _MAX_PEAK_DBFS - highest) for gain in gains]


def _titled_files(source: Path) -> list[tuple[str, Path]]:
    """Return (title, path) of a file, or of each audio file in a folder."""
    if source.is_file():
        return [(source.name, source)]
    if not source.is_dir():
        raise DataError(f"got {source}, which does not exist; expected an audio file or folder")
    found = [(path.relative_to(source).as_posix(), path) for path in find_audio_files(source)]
    if not found:
        raise DataError(f"no audio in {source}; expected {', '.join(sorted(AUDIO_SUFFIXES))}")
    return found


def _versions(
    path: Path, compared: Mapping[str, Tokenizer], current: Mapping[str, Tokenizer], seconds: float
) -> list[PageClip]:
    first = next(iter(current.values()))
    samples = max(round(seconds * first.frame_rate), 1) * first.samples_per_frame
    try:
        original, where = load_middle(path, samples, first.sample_rate)
    except (BandTokError, OSError) as error:
        return [PageClip(label=ORIGINAL, missing=f"Not playable: {error}")]
    clip = prepare(original, first)
    (griffin_lim,) = named_systems(["griffin-lim"])
    sounds = {ORIGINAL: original, GRIFFIN_LIM: reconstruct(griffin_lim, clip, first)}
    notes = {ORIGINAL: where, GRIFFIN_LIM: "same tokens"}
    for label, tokenizer in {**compared, **current}.items():
        sounds[label], notes[label] = _decoded(clip, tokenizer)
    features = _features(original)
    config = first.config.mel
    gains = matching_gains_db(list(sounds.values()))
    return [
        PageClip(
            label=label,
            note=f"{notes[label]}, gain {gain:+.1f} dB",
            audio=Audio(audio.waveform * np.float32(10 ** (gain / 20)), audio.sample_rate),
            measures=reconstruction_measures(original, audio, features, config),
        )
        for (label, audio), gain in zip(sounds.items(), gains, strict=True)
    ]


def _decoded(clip: PreparedClip, tokenizer: Tokenizer) -> tuple[Audio, str]:
    """Decode the clip's tokens, or the tokenizer's own if its codes mean something else."""
    reference, grid, note = clip.reference, clip.grid, "same tokens"
    if grid.fingerprint != tokenizer.fingerprint:
        grid, note = tokenizer.encode(reference), "own tokens"
    waveform = tokenizer.decode(grid).mono().resampled(reference.sample_rate).waveform
    length = reference.waveform.shape[1]
    missing = max(0, length - waveform.shape[1])
    fitted = Audio(np.pad(waveform[:, :length], ((0, 0), (0, missing))), reference.sample_rate)
    return fitted, f"{note}, {grid.bit_rate_bps / 1000:.2f} kbit/s"


def _features(audio: Audio) -> PitchOnsetFeatures | None:
    try:
        return pitch_onset_features(audio.waveform[0], audio.sample_rate)
    except MissingDependency:
        return None
