"""The settings of generation and editing, with the defaults of the product.

The only place of these defaults: the Python functions, the command line and the research programs
take them from here. Light to import: the ranges are checked by the modules that use the values,
which are loaded when a config is made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, TypedDict

from bandtok.errors import ConfigError
from bandtok.lm.beat import check_tempo
from bandtok.lm.chords import parse_chords, parse_key
from bandtok.lm.sampling import SamplingConfig
from bandtok.signal.loudness import TARGET_LUFS, check_target

DEFAULT_DURATION_SECONDS = 10.0
DEFAULT_SEED = 0
MAX_FADE_SECONDS = 60.0
_OPTIONAL = ("bpm", "key", "bars", "loudness_lufs")
_OTHERS: dict[str, tuple[type, str]] = {
    **dict.fromkeys(("top_k", "num_candidates", "bars"), (Integral, "an integer")),
    "meter": (str, "text such as 4/4"),
    "key": (str, "text such as A minor"),
    "chords": (str, "text such as Am F C G"),
    "loop": (bool, "True or False"),
}
_METER = re.compile(r"([1-9]|1[0-6])/4")


class EditOverrides(TypedDict, total=False):
    """Fields of `GenerationConfig` that `MusicModel.edit` uses."""

    temperature: float
    top_k: int
    top_p: float
    guidance_scale: float
    beat_guidance_scale: float
    num_candidates: int
    bpm: float | None
    key: str | None
    chords: str
    meter: str
    harmony_guidance_scale: float
    level_strength: float


class GenerationOverrides(EditOverrides, total=False):
    """All fields of `GenerationConfig`."""

    bars: int | None
    loop: bool
    fade_out: float
    loudness_lufs: float | None


EDIT_FIELDS = tuple(EditOverrides.__annotations__)


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How music is generated.

    Args:
        temperature: sampling temperature, 0 or more; 0 is greedy.
        top_k: sample from this many most probable codes; 0 means all.
        top_p: nucleus sampling threshold, above 0 and at most 1; 1 means all codes.
        guidance_scale: classifier-free guidance by the prompt, 0 or more; 1 is no guidance.
        beat_guidance_scale: guidance by the beat, 0 or more, of models with a beat grid; 1 keeps
            the beat as the training music does, 0 is no beat.
        num_candidates: candidates (3 s each with the bundled model) to generate, 1 or more; the
            reranker picks the one that matches the prompt best, and only that one is continued.
            Without a prompt one candidate is generated.
        bpm: tempo in beats per minute, 40 to 240, the first beat at the beginning of the new
            music; 0 is no beat. None samples a tempo that suits the prompt, or, after existing
            music, leaves the tempo to what is there.
        key: such as "A minor", "Bb major" or "F#m". None takes the one that the prompt names, as in
            "a waltz in A minor", or leaves it to the model.
        chords: one per bar, such as "Am F C G": major and minor triads, N for none, again and again
            to the end. Bars are those of `meter` at `bpm` (in an edit from the beginning of the
            piece, and `bpm` is needed), or at a tempo sampled to suit the prompt. Empty for none.
        harmony_guidance_scale: how strongly sampling follows chords, and the key where there is no
            chord; 0 is not at all.
        level_strength: how strongly sampling holds the levels of the bands, 0 (not at all) or more:
            after the first 10 s of new music at those of the first 10 s, in an edit at those of
            what surrounds the regions.
        bars: length of the new music in whole bars, in place of a duration. Their tempo is `bpm`,
            or sampled to suit the prompt; the clip ends on the bar to the sample.
        meter: beats per bar, "1/4" to "16/4", for `bars`, `loop` and `chords`. The model has
            learned beats, no bars: an accent on the first beat is not to be expected.
        loop: whether the end leads into the beginning, on the beat. Without `bars` its length is
            the power of two of bars that is nearest to the duration.
        fade_out: seconds over which the end falls to silence; 0 for none. Not of a loop.
        loudness_lufs: integrated loudness of the clip, -60 to 0 LUFS, with true peaks limited to
            -1 dBFS; None keeps the level that the tokens decode to. Tokens do not depend on it.

    Raises:
        ConfigError: if a value is out of range or of the wrong type.
    """

    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 1.0
    guidance_scale: float = 6.0
    beat_guidance_scale: float = 4.0
    num_candidates: int = 4
    bpm: float | None = None
    key: str | None = None
    chords: str = ""
    meter: str = "4/4"
    harmony_guidance_scale: float = 6.0
    level_strength: float = 1.0
    bars: int | None = None
    loop: bool = False
    fade_out: float = 0.0
    loudness_lufs: float | None = TARGET_LUFS

    def __post_init__(self) -> None:
        for name in CONFIG_FIELDS:
            _check_type(name, getattr(self, name))
        _ = self.sampling
        if self.num_candidates < 1:
            raise ConfigError(f"got num_candidates {self.num_candidates}; expected 1 or more")
        for name in ("level_strength", "harmony_guidance_scale"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"got {name} {getattr(self, name)}; expected 0 or more")
        if self.key is not None:
            parse_key(self.key)
        if self.chords:
            parse_chords(self.chords)
        if self.bpm is not None:
            check_tempo(self.bpm)
        if self.loudness_lufs is not None:
            check_target(self.loudness_lufs)
        self._check_length()

    def _check_length(self) -> None:
        if self.bars is not None and self.bars < 1:
            raise ConfigError(f"got bars {self.bars}; expected 1 or more")
        if not _METER.fullmatch(self.meter):
            raise ConfigError(f"got meter {self.meter!r:.20}; expected beats per bar, 1/4 to 16/4")
        if not 0 <= self.fade_out <= MAX_FADE_SECONDS:
            raise ConfigError(
                f"got fade_out {self.fade_out}; expected 0 to {MAX_FADE_SECONDS:.0f} s"
            )
        if self.loop and self.fade_out:
            raise ConfigError("got a loop that fades out; expected one of both")
        if (self.in_bars or self.chords) and self.bpm == 0:
            what = "bars" if self.in_bars else "chords"
            raise ConfigError(f"got {what} without a beat; expected a bpm of 40 to 240, or None")

    @property
    def in_bars(self) -> bool:
        """Whether the length is a whole number of bars."""
        return self.bars is not None or self.loop

    @property
    def beats_per_bar(self) -> int:
        return int(self.meter.split("/")[0])

    @property
    def sampling(self) -> SamplingConfig:
        """How single codes are sampled."""
        return SamplingConfig(**{f.name: getattr(self, f.name) for f in fields(SamplingConfig)})


CONFIG_FIELDS = tuple(field.name for field in fields(GenerationConfig))


def with_overrides(
    config: GenerationConfig, overrides: Mapping[str, Any], allowed: Collection[str] = CONFIG_FIELDS
) -> GenerationConfig:
    """Return `config` with some fields replaced.

    Raises:
        ConfigError: if `config` is not a GenerationConfig, a name is not one of `allowed`, or a
            value is out of range.
    """
    if not isinstance(config, GenerationConfig):
        raise ConfigError(
            f"got a config of type {type(config).__name__}; expected a GenerationConfig, or its "
            "fields as keyword arguments"
        )
    for name in overrides:
        if name not in allowed:
            raise ConfigError(f"got unknown setting {name!r}; expected {', '.join(allowed)}")
    return replace(config, **overrides) if overrides else config


def _check_type(name: str, value: object) -> None:
    if value is None and name in _OPTIONAL:
        return
    kind, what = _OTHERS.get(name, (Real, "a number"))
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        either = " or None" if name in _OPTIONAL else ""
        raise ConfigError(f"got {name} {value!r:.60}; expected {what}{either}")
