"""The chains that are compared on a clip, so that it is seen where the error arises.

    Audio, Tokenizer -> ln-mel or waveform of each chain -> measures

"bandtok" is the whole product; each other chain leaves out or replaces one part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bandtok.audio import Audio
from bandtok.errors import AudioError, ConfigError
from bandtok.evaluation.reconstruction import (
    compare_mels,
    log_mel_of,
    matched_waveforms,
    mel_texture,
    si_sdr_db,
    stft_distance,
    visqol_score,
)
from bandtok.grid import TokenGrid
from bandtok.mel import LogMel, MelConfig
from bandtok.pipeline import Tokenizer
from bandtok.vocoder.griffin_lim import griffin_lim, textbook_griffin_lim


@dataclass(frozen=True, kw_only=True)
class System:
    """One chain.

    Attributes:
        name: as written in tables.
        does: what it does, for the reader of a report.
        through_tokens: its mel went through the tokens; False means it is the original's.
        vocoder: the learned vocoder makes a waveform of that mel.
        griffin_lim: Griffin-Lim makes one, or refines the vocoder's.
        textbook: it is the common one, with magnitudes fixed beforehand.
    """

    name: str
    does: str
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
        does="tokens, decoded mel, learned vocoder: the whole chain",
        through_tokens=True,
        vocoder=True,
        griffin_lim=False,
    ),
    System(
        name="griffin-lim",
        does="the same tokens and decoded mel, Griffin-Lim for the vocoder",
        through_tokens=True,
        vocoder=False,
        griffin_lim=True,
    ),
    System(
        name="textbook-griffin-lim",
        does="the same tokens and decoded mel, Griffin-Lim as librosa has it",
        through_tokens=True,
        vocoder=False,
        griffin_lim=True,
        textbook=True,
    ),
    System(
        name="refined",
        does="the whole chain, then a few Griffin-Lim rounds towards the decoded mel",
        through_tokens=True,
        vocoder=True,
        griffin_lim=True,
    ),
    System(
        name="mel-only",
        does="decoded mel against original mel: the tokenizer's share, no waveform",
        through_tokens=True,
        vocoder=False,
        griffin_lim=False,
    ),
    System(
        name="vocoder-only",
        does="learned vocoder on the original mel: the vocoder's share, no tokens",
        through_tokens=False,
        vocoder=True,
        griffin_lim=False,
    ),
    System(
        name="griffin-lim-only",
        does="Griffin-Lim on the original mel: no tokens, no learned part",
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
        si_sdr: scale-invariant signal-to-distortion ratio, dB; says nothing of phase made anew.
        time_texture, band_texture: liveliness of the ln-mel over the original's; see MelTexture.
    """

    mel: float
    mel_below: float
    stft: float | None = None
    visqol: float | None = None
    si_sdr: float | None = None
    time_texture: float | None = None
    band_texture: float | None = None


@dataclass(frozen=True, kw_only=True)
class PreparedClip:
    """A clip with everything the systems need.

    Attributes:
        reference: mono, at the tokenizer's rate.
        grid: its tokens.
        mel: ln-mel of the reference, lengthened by silence to whole token frames,
            [1, n_mels, mel_frames].
        decoded_mel: the same through the tokens.
    """

    reference: Audio
    grid: TokenGrid
    mel: Tensor
    decoded_mel: Tensor


def named_systems(names: Sequence[str]) -> tuple[System, ...]:
    """Return the systems of these names, in the order asked for.

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
        first = _padded(tokenizer.decode(clip.grid), mel.shape[2] * config.hop_length)
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
    return Audio(first[0, :, :samples].numpy(), clip.reference.sample_rate)


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
    clip: PreparedClip, estimate: Audio | None, config: MelConfig, *, below_hz: float, visqol: bool
) -> ClipMeasures:
    """Measure a clip's waveform as a system made it; None stands for its decoded mel alone."""
    whole = clip.reference.waveform.shape[1] // config.hop_length
    if estimate is not None:
        pair = matched_waveforms(clip.reference, estimate, config.sample_rate)
        mel, made = (log_mel_of(waveform, config) for waveform in pair)
    else:
        mel, made = clip.mel[0, :, :whole], clip.decoded_mel[0, :, :whole]
    distance = compare_mels(mel, made, config, below_hz)
    texture = mel_texture(mel, made, config, below_hz)
    return ClipMeasures(
        mel=distance.all_bins,
        mel_below=distance.below,
        stft=stft_distance(clip.reference, estimate).total if estimate else None,
        visqol=_visqol_or_none(clip.reference, estimate) if visqol and estimate else None,
        si_sdr=si_sdr_db(clip.reference, estimate) if estimate else None,
        time_texture=texture.time,
        band_texture=texture.band,
    )


def prepare(reference: Audio, tokenizer: Tokenizer) -> PreparedClip:
    """Encode a clip, mono and at the tokenizer's rate, and decode its mel."""
    grid = tokenizer.encode(reference)
    config = tokenizer.config.mel
    padded = _padded(reference, grid.num_frames * grid.samples_per_frame)
    decoded = tokenizer.codec.decode_mel(torch.from_numpy(grid.codes).long())
    with torch.no_grad():
        mel = LogMel(config)(padded)
    return PreparedClip(reference=reference, grid=grid, mel=mel, decoded_mel=decoded.cpu()[None])


def _vocoded(mel: Tensor, tokenizer: Tokenizer) -> Tensor:
    """Run the learned vocoder on an ln-mel that stands in silence, as the codec does."""
    codec = tokenizer.codec
    config = tokenizer.config.mel
    reach = codec.vocoder.reach
    surrounded = torch.nn.functional.pad(mel, (reach, reach), value=config.silence)
    with torch.no_grad():
        waveform = codec.vocoder(surrounded.to(codec.device)).cpu()
    start = reach * config.hop_length
    return waveform[..., start : start + mel.shape[2] * config.hop_length]


def _padded(audio: Audio, samples: int) -> Tensor:
    waveform = torch.zeros(1, 1, samples)
    waveform[0, 0, : audio.waveform.shape[1]] = torch.from_numpy(audio.waveform[0])
    return waveform


def _visqol_or_none(reference: Audio, estimate: Audio) -> float | None:
    try:
        return visqol_score(reference, estimate)
    except AudioError:  # too short or silent: there is nothing to rate
        return None
