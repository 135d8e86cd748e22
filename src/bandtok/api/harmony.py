"""Chords and key of a call -> what its codes are sampled for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandtok.api.generation_config import GenerationConfig
from bandtok.errors import ConfigError
from bandtok.lm.beat import BeatGrid
from bandtok.lm.chords import key_in_prompt, parse_chords, parse_key
from bandtok.lm.harmony import HarmonyTarget, chords_of_frames

if TYPE_CHECKING:
    from bandtok.api.music_model import MusicModel


def harmony_target(
    model: MusicModel,
    config: GenerationConfig,
    prompt: str,
    bpm: float | None,
    num_frames: int,
    *,
    first_frame: int = 0,
) -> HarmonyTarget | None:
    """Return what the codes of a piece are sampled for; None for nothing.

    Args:
        model: its harmony classifier is used.
        config: key, chords, meter and guidance scale.
        prompt: may name a key; what `config` says goes first.
        bpm: of the bars; chords need it.
        num_frames: of the piece.
        first_frame: in which the first bar begins.

    Raises:
        ConfigError: if chords or a key are asked for and the model has no classifier, or chords
            without a tempo.
    """
    key = key_in_prompt(prompt) if config.key is None else parse_key(config.key)
    chords = parse_chords(config.chords) if config.chords else ()
    if (key is None and not chords) or not config.harmony_guidance_scale:
        return None
    if model.harmony is None:
        if config.key is None and not chords:
            return None
        raise ConfigError(
            "got chords or a key; this model has no harmony classifier for its codes, leave both "
            "to the prompt"
        )
    if chords and not bpm:
        raise ConfigError("got chords without a tempo; expected bpm, the tempo of the piece")
    beat = BeatGrid.of_tempos([bpm or 0.0], model.tokenizer.frame_rate).at(-first_frame)
    return HarmonyTarget(
        classifier=model.harmony,
        chords=chords_of_frames(chords, beat, config.beats_per_bar, num_frames),
        key=key,
        scale=config.harmony_guidance_scale,
    )
