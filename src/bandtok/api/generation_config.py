"""The settings of generation and editing, with the defaults of the product.

The only place of these defaults: the Python functions, the command line and the research programs
take them from here. Light to import: the ranges are checked by the modules that use the values,
which are loaded when a config is made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, TypedDict

from bandtok.errors import ConfigError
from bandtok.lm.beat import check_tempo
from bandtok.lm.sampling import SamplingConfig
from bandtok.signal.loudness import TARGET_LUFS, check_target

DEFAULT_DURATION_SECONDS = 10.0
DEFAULT_SEED = 0
_INTEGERS = ("top_k", "num_candidates")
_OPTIONAL = ("bpm", "loudness_lufs")


class EditOverrides(TypedDict, total=False):
    """Fields of `GenerationConfig` that `MusicModel.edit` uses."""

    temperature: float
    top_k: int
    top_p: float
    guidance_scale: float


class GenerationOverrides(EditOverrides, total=False):
    """All fields of `GenerationConfig`."""

    beat_guidance_scale: float
    num_candidates: int
    bpm: float | None
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
    loudness_lufs: float | None = TARGET_LUFS

    def __post_init__(self) -> None:
        for name in CONFIG_FIELDS:
            _check_type(name, getattr(self, name))
        _ = self.sampling
        if self.num_candidates < 1:
            raise ConfigError(f"got num_candidates {self.num_candidates}; expected 1 or more")
        if self.bpm is not None:
            check_tempo(self.bpm)
        if self.loudness_lufs is not None:
            check_target(self.loudness_lufs)

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
    kind, what = (Integral, "an integer") if name in _INTEGERS else (Real, "a number")
    if not isinstance(value, kind) or isinstance(value, bool):
        either = " or None" if name in _OPTIONAL else ""
        raise ConfigError(f"got {name} {value!r:.60}; expected {what}{either}")
