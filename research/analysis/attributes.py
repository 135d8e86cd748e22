"""Which family of instruments leads, and how fast it goes: classifiers trained on rendered music.

    rendered corpus (its truth is known) -> classifiers;  waveform -> family, pace

Sound is described by log-mel statistics and a tagger's embedding, pace by the autocorrelation of
the onsets. How often the classifiers are right on unseen renders is part of any
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.data.audio_features import FEATURES_SAMPLE_RATE, extract_features
from bandtok.data.segments import Segment
from bandtok.errors import DataError
from bandtok.extras import missing
from bandtok.signal.audio import Audio
from bandtok.tagger import Tagger
from research.corpus.rendered.instruments import INSTRUMENTS

try:
    import librosa
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
except ImportError as error:
    raise missing(error, "evaluate") from None

PACES = ("slow", "medium", "fast")
_N_FFT, _HOP_LENGTH, _N_MELS = 2048, 512, 96
_FLOOR_DB = 70.0
_LAGS = np.geomspace(0.15, 2.4, 64)  # seconds between onsets whose regularity is looked at
_FAMILIES = {
    instrument.words[0]: instrument.family for instrument in reversed(list(INSTRUMENTS.values()))
}


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """What leads and how fast; "" where it is not known."""

    family: str
    pace: str


@dataclass(frozen=True, kw_only=True)
class Described:
    """A clip as the classifiers see it: float32 vectors; `sound` is None if only pace is wanted."""

    sound: np.ndarray | None
    pace: np.ndarray


def true_attributes(segment: Segment) -> Attributes:
    """Return what is known of a rendered piece: its lead is the first instrument named."""
    lead = next(iter(segment.words.get("instrument", {})), "")
    pace = next(iter(segment.words.get("tempo", {})), "")
    return Attributes(family=_FAMILIES.get(lead, ""), pace=pace)


def describe(audio: Audio, tagger: Tagger | None) -> Described:
    """Describe a clip; what is silent is described too, by vectors that are all alike.

    Args:
        audio: of any length above 0; its channels are averaged.
        tagger: whose embedding is part of the sound; None leaves the sound out.
    """
    mono = audio.waveform.mean(axis=0)
    if audio.sample_rate != FEATURES_SAMPLE_RATE:
        mono = librosa.resample(
            mono, orig_sr=audio.sample_rate, target_sr=FEATURES_SAMPLE_RATE, res_type="soxr_hq"
        )
    level = _log_mel(mono)
    sound = None
    if tagger is not None:
        embedding = tagger.embed(mono, FEATURES_SAMPLE_RATE).mean(axis=0)
        sound = np.concatenate((_sound(level), embedding))
    return Described(sound=sound, pace=_pace(level, mono))


class AttributeClassifier:
    """Tells families and paces apart as examples do.

    Args:
        examples: described clips of rendered music; one without sound teaches pace alone.
        truth: of each; "" teaches nothing.

    Raises:
        DataError: if there are fewer than two families or two paces.
    """

    def __init__(self, examples: Sequence[Described], truth: Sequence[Attributes]) -> None:
        sounds = [
            (example.sound, one.family)
            for example, one in zip(examples, truth, strict=True)
            if example.sound is not None and one.family
        ]
        paces = [
            (example.pace, one.pace)
            for example, one in zip(examples, truth, strict=True)
            if one.pace
        ]
        self._family, self._pace = _classifier(sounds, "families"), _classifier(paces, "paces")

    @property
    def families(self) -> tuple[str, ...]:
        """Families that can be distinguished."""
        return tuple(str(name) for name in self._family.classes_)

    def classify(self, clips: Sequence[Described]) -> list[Attributes]:
        """Return the likeliest family and pace of each clip, all with their sound."""
        if not clips:
            return []
        sounds = [clip.sound for clip in clips if clip.sound is not None]
        families = self._family.predict(np.stack(sounds))
        paces = self._pace.predict(np.stack([clip.pace for clip in clips]))
        return [
            Attributes(family=str(family), pace=str(pace))
            for family, pace in zip(families, paces, strict=True)
        ]


def _classifier(examples: Sequence[tuple[np.ndarray, str]], what: str) -> Pipeline:
    names = {label for _, label in examples}
    if len(names) < 2:
        raise DataError(
            f"got rendered clips of {len(names)} {what}; expected at least two, "
            "see 'bandtok data rendered'"
        )
    model = make_pipeline(StandardScaler(), SVC(C=10.0, class_weight="balanced"))
    model.fit(np.stack([vector for vector, _ in examples]), [label for _, label in examples])
    return model


def _log_mel(mono: np.ndarray) -> np.ndarray:
    """Return dB below the loudest cell, float32 [mels, frames], not below a floor."""
    power = librosa.feature.melspectrogram(
        y=np.pad(mono, (0, max(0, _N_FFT - len(mono)))),
        sr=FEATURES_SAMPLE_RATE,
        n_fft=_N_FFT,
        hop_length=_HOP_LENGTH,
        n_mels=_N_MELS,
    )
    return librosa.power_to_db(power, ref=max(float(power.max()), 1e-10), top_db=_FLOOR_DB)


def _sound(level: np.ndarray) -> np.ndarray:
    """Return level, spread and movement by band, and how notes begin and die away."""
    step = np.diff(level, axis=1, prepend=level[:, :1])
    loudness = level.mean(axis=0)
    turns = np.quantile(np.diff(loudness, prepend=loudness[:1]), (0.02, 0.1, 0.5, 0.9, 0.98))
    cepstrum = librosa.feature.mfcc(S=level, n_mfcc=24)
    parts = (
        level.mean(axis=1) - level.mean(),
        level.std(axis=1),
        np.quantile(level, 0.9, axis=1) - level.mean(),
        np.abs(step).mean(axis=1),
        cepstrum.mean(axis=1),
        cepstrum.std(axis=1),
        turns,
    )
    return np.concatenate(parts).astype(np.float32)


def _pace(level: np.ndarray, mono: np.ndarray) -> np.ndarray:
    """Return how regular onsets are at each distance in time, how many there are, their tempo."""
    rise = np.maximum(np.diff(level, axis=1), 0.0).mean(axis=0)
    rise = rise - rise.mean()
    size = 2 * len(rise)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(rise, size)) ** 2)[: len(rise)]
    correlation = correlation / (correlation[0] + 1e-9)
    seconds = np.arange(len(correlation)) * _HOP_LENGTH / FEATURES_SAMPLE_RATE
    regular = np.interp(_LAGS, seconds, correlation, right=0.0)
    features = extract_features(mono)
    counted = np.zeros(4)
    if features is not None:
        counted[:] = (
            np.log(features.onsets_per_second + 0.3),
            np.log(features.bpm),
            features.pulse,
            features.strike,
        )
    # Twice, so that these few weigh more beside the many distances.
    return np.concatenate((regular, counted, counted)).astype(np.float32)
