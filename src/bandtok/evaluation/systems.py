"""The chains that are compared on a clip, so that it is seen where the error arises.

    Audio, Tokenizer -> ln-mel or waveform of each chain -> measures

"bandtok" is the whole product; each other chain leaves out or replaces one part of it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import AudioError, ConfigError
from bandtok.evaluation.pitch_onsets import (
    PitchOnsetFeatures,
    onset_correlation,
    pitch_correlation,
    pitch_onset_features,
)
from bandtok.evaluation.reconstruction import (
    compare_mels,
    log_mel,
    matched_waveforms,
    si_sdr_db,
    stft_distance,
    visqol_score,
)
from bandtok.evaluation.signal_measures import (
    dc_offset_dbfs,
    level_difference_db,
    peak_dbfs,
    total_variation_ratio,
)
from bandtok.evaluation.textbook_griffin_lim import textbook_griffin_lim
from bandtok.signal.audio import Audio
from bandtok.signal.mel import MelConfig
from bandtok.tokens.grid import TokenGrid
from bandtok.vocoder.griffin_lim import griffin_lim


@dataclass(frozen=True, kw_only=True)
class System:
    """One chain.

    Attributes:
        name: as written in tables.
        description: what it does, for the reader of a report.
        through_tokens: its mel went through the tokens; False means it is the original's.
        vocoder: the learned vocoder makes a waveform of that mel.
        griffin_lim: Griffin-Lim makes one, or refines the vocoder's.
        textbook: it is the common one, with magnitudes fixed beforehand.
    """

    name: str
    description: str
    through_tokens: bool
    vocoder: bool
    griffin_lim: bool
    textbook: bool = False

    @property
    def has_waveform(self) -> bool:
        return self.vocoder or self.griffin_lim


ALL_SYSTEMS = (
    System(
        name="bandtok",
        description="tokens, decoded mel, learned vocoder: the whole chain",
        through_tokens=True,
        vocoder=True,
        griffin_lim=False,
    ),
    System(
        name="griffin-lim",
        description="the same tokens and decoded mel, Griffin-Lim for the vocoder",
        through_tokens=True,
        vocoder=False,
        griffin_lim=True,
    ),
    System(
        name="textbook-griffin-lim",
        description="the same tokens and decoded mel, Griffin-Lim as librosa has it",
        through_tokens=True,
        vocoder=False,
        griffin_lim=True,
        textbook=True,
    ),
    System(
        name="refined",
        description="the whole chain, then a few Griffin-Lim rounds towards the decoded mel",
        through_tokens=True,
        vocoder=True,
        griffin_lim=True,
    ),
    System(
        name="mel-only",
        description="decoded mel against original mel: the tokenizer's share, no waveform",
        through_tokens=True,
        vocoder=False,
        griffin_lim=False,
    ),
    System(
        name="vocoder-only",
        description="learned vocoder on the original mel: the vocoder's share, no tokens",
        through_tokens=False,
        vocoder=True,
        griffin_lim=False,
    ),
    System(
        name="griffin-lim-only",
        description="Griffin-Lim on the original mel: no tokens, no learned part",
        through_tokens=False,
        vocoder=False,
        griffin_lim=True,
    ),
)
DEFAULT_SYSTEMS = ("bandtok", "griffin-lim", "mel-only", "vocoder-only")


@dataclass(frozen=True, kw_only=True)
class ClipMeasures:
    """What was measured on one clip of one system; None where it was not or could not be.

    Attributes:
        mel: mean absolute ln-mel difference over all bins.
        mel_below: the same over the bins below the limit.
        stft: multi-resolution STFT distance.
        visqol: ViSQOL score, audio mode.
        si_sdr: scale-invariant signal-to-distortion ratio, dB; meaningless for a codec that
            synthesizes phase from a mel.
        flicker, grain: total variation of the ln-mel over frames and over bins, relative to the
            original's; 1 is right.
        pitch: correlation of log CQT magnitudes, 55 Hz to 3.5 kHz.
        onset_correlation: correlation of onset-strength envelopes.
        onsets_per_second: of the estimate.
        embedding_distance: mean cosine distance of musicnn (MTT) embeddings of the same windows.
        embedding_distance_aisfx: the same of aisfx embeddings.
        level_difference_db: RMS level of the estimate minus that of the original.
        dc_offset_dbfs: magnitude of the estimate's mean sample, dB of full scale.
        peak_dbfs: largest sample magnitude of the estimate, dB of full scale.
    """

    mel: float
    mel_below: float
    stft: float | None = None
    visqol: float | None = None
    si_sdr: float | None = None
    flicker: float | None = None
    grain: float | None = None
    pitch: float | None = None
    onset_correlation: float | None = None
    onsets_per_second: float | None = None
    embedding_distance: float | None = None
    embedding_distance_aisfx: float | None = None
    level_difference_db: float | None = None
    dc_offset_dbfs: float | None = None
    peak_dbfs: float | None = None


@dataclass(frozen=True, kw_only=True)
class PreparedClip:
    """A clip with everything the systems need.

    Attributes:
        reference: mono, at the tokenizer's rate.
        grid: its tokens.
        mel: ln-mel of the reference, lengthened by silence to whole token frames,
            [n_mels, mel_frames].
        decoded_mel: the same through the tokens.
    """

    reference: Audio
    grid: TokenGrid
    mel: np.ndarray
    decoded_mel: np.ndarray

    @functools.cached_property
    def pitch_onsets(self) -> PitchOnsetFeatures:
        """Features of the reference, computed once for all systems."""
        return pitch_onset_features(self.reference.waveform[0], self.reference.sample_rate)


def named_systems(names: Sequence[str]) -> tuple[System, ...]:
    """Return the systems of these names, in the order requested.

    Raises:
        ConfigError: for an unknown name.
    """
    known = {system.name: system for system in ALL_SYSTEMS}
    for name in names:
        if name not in known:
            raise ConfigError(f"got system {name!r}; expected one of {', '.join(known)}")
    return tuple(known[name] for name in names)


def reconstruct(
    system: System, clip: PreparedClip, tokenizer: Tokenizer, num_iterations: int = 32
) -> Audio:
    """Return a system's waveform of a clip, cut to the clip's length.

    Raises:
        ConfigError: if the system makes no waveform.
    """
    if not system.has_waveform:
        raise ConfigError(f"system {system.name!r} makes no waveform")
    mel = clip.decoded_mel if system.through_tokens else clip.mel
    config = tokenizer.config.mel
    if system.vocoder and system.through_tokens:
        first = _padded(tokenizer.decode(clip.grid), mel.shape[1] * config.hop_length)
    elif system.vocoder:
        first = _vocoded(mel, tokenizer)
    else:
        first = None
    if system.textbook:
        first = textbook_griffin_lim(mel, config, num_iterations=num_iterations)
    elif system.griffin_lim:
        first = griffin_lim(mel, config, num_iterations=num_iterations, initial=first)
    assert first is not None
    samples = clip.reference.waveform.shape[1]
    return Audio(first[None, :samples], clip.reference.sample_rate)


def measure(
    system: System,
    clip: PreparedClip,
    tokenizer: Tokenizer,
    *,
    below_hz: float,
    visqol: bool,
    num_iterations: int = 32,
) -> ClipMeasures:
    """Measure one system on one clip."""
    made = reconstruct(system, clip, tokenizer, num_iterations) if system.has_waveform else None
    return measure_output(clip, made, tokenizer.config.mel, below_hz=below_hz, visqol=visqol)


def measure_output(
    clip: PreparedClip,
    estimate: Audio | None,
    config: MelConfig,
    *,
    below_hz: float,
    visqol: bool,
    pitch_and_onsets: bool = False,
    si_sdr: bool = False,
) -> ClipMeasures:
    """Measure a clip's waveform as a system made it; None means its decoded mel alone.

    Measures of embeddings are not among them; see :mod:`bandtok.evaluation.embedding_measures`.

    Args:
        clip: the original.
        estimate: mono, of the same length.
        config: mel settings.
        below_hz: limit of the second mel figure, and of flicker and grain.
        visqol: also rate by ViSQOL (slow).
        pitch_and_onsets: also pitch and onsets (needs librosa).
        si_sdr: also the signal-to-distortion ratio.
    """
    if estimate is None:
        whole = clip.reference.waveform.shape[1] // config.hop_length
        return ClipMeasures(
            **_mel_measures(clip.mel[:, :whole], clip.decoded_mel[:, :whole], config, below_hz)
        )
    pair = matched_waveforms(clip.reference, estimate, config.sample_rate)
    mels = [log_mel(config)(waveform) for waveform in pair]
    measures = ClipMeasures(
        **_mel_measures(mels[0], mels[1], config, below_hz),
        stft=stft_distance(clip.reference, estimate).total,
        visqol=_visqol_or_none(clip.reference, estimate) if visqol else None,
        si_sdr=si_sdr_db(clip.reference, estimate) if si_sdr else None,
        level_difference_db=level_difference_db(*pair),
        dc_offset_dbfs=dc_offset_dbfs(pair[1]),
        peak_dbfs=peak_dbfs(pair[1]),
    )
    if not pitch_and_onsets:
        return measures
    original = clip.pitch_onsets
    features = pitch_onset_features(pair[1], config.sample_rate)
    return replace(
        measures,
        pitch=pitch_correlation(original, features),
        onset_correlation=onset_correlation(original, features),
        onsets_per_second=features.onsets_per_second,
    )


def _mel_measures(
    mel: np.ndarray, estimate: np.ndarray, config: MelConfig, below_hz: float
) -> dict[str, Any]:
    distance = compare_mels(mel, estimate, config, below_hz)
    variation = total_variation_ratio(mel, estimate, config, below_hz)
    return {
        "mel": distance.all_bins,
        "mel_below": distance.below,
        "flicker": variation.flicker,
        "grain": variation.grain,
    }


def prepare(reference: Audio, tokenizer: Tokenizer) -> PreparedClip:
    """Encode a clip, mono and at the tokenizer's rate, and decode its mel."""
    grid = tokenizer.encode(reference)
    config = tokenizer.config.mel
    padded = _padded(reference, grid.num_frames * grid.samples_per_frame)
    decoded = tokenizer.codec.decode_mel(grid.codes.astype(np.int64))
    return PreparedClip(
        reference=reference, grid=grid, mel=log_mel(config)(padded), decoded_mel=decoded
    )


def _vocoded(mel: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """Run the learned vocoder on an ln-mel padded with silence, as the codec does."""
    codec = tokenizer.codec
    config = tokenizer.config.mel
    reach = codec.vocoder.reach + -(-codec.rumble_filter.context_samples // config.hop_length)
    surrounded = np.pad(mel, ((0, 0), (reach, reach)), constant_values=config.silence)
    waveform = codec.rumble_filter(codec.vocoder.decode_mel(surrounded))
    start = reach * config.hop_length
    return waveform[start : start + mel.shape[1] * config.hop_length]


def _padded(audio: Audio, samples: int) -> np.ndarray:
    return np.pad(audio.waveform[0], (0, samples - audio.waveform.shape[1]))


def _visqol_or_none(reference: Audio, estimate: Audio) -> float | None:
    try:
        return visqol_score(reference, estimate)
    except AudioError:  # too short or silent: there is nothing to rate
        return None
