"""Loops: codes whose end leads into their beginning.

A language model writes from left to right, so a clip that is played again and again breaks off and
starts. Here the end and the first moments of a clip are written once more, with what comes before
them as the past and the rest of the beginning as the future.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bandtok.lm.beat import BeatGrid
from bandtok.lm.harmony import HarmonyTarget
from bandtok.lm.inpainting import InpaintRequest, inpaint_codes
from bandtok.lm.networks import LanguageModel
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import TextEmbeddings


def close_loop(
    model: LanguageModel,
    codes: np.ndarray,
    bpm: float,
    *,
    text: TextEmbeddings | None = None,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
    harmony: HarmonyTarget | None = None,
) -> np.ndarray:
    """Return a loop: the codes with new ones from two beats before the end to half a beat after it.

    Args:
        model: the network.
        codes: int64 [bands, frames], 2 frames or more, of whole beats, the first one at frame 0.
        bpm: beats per minute; 0 for none, which takes half a second for a beat.
        text: one row of states, or None.
        sampling, seed, harmony: as in `CodeRequest`.
    """
    frames, config = codes.shape[1], model.config
    beat = 60 * config.frame_rate / (bpm or 120.0)
    reach = min(frames // 2, config.window_frames // 2)
    before = min(max(round(2 * beat), 1), reach // 2)
    after = min(max(round(beat / 2), 1), reach // 2)
    seam = np.concatenate((codes[:, frames - reach :], codes[:, :reach]), axis=1)
    keep = np.ones(seam.shape, np.bool_)
    keep[:, reach - before : reach + after] = False
    grid = (
        BeatGrid.of_tempos([bpm], config.frame_rate).at(-reach)
        if config.beat_conditioning
        else None
    )
    if harmony:
        chords = np.concatenate((harmony.chords[frames - reach : frames], harmony.chords[:reach]))
        harmony = replace(harmony, chords=chords)
    request = InpaintRequest(
        codes=seam,
        keep=keep,
        text=text,
        sampling=sampling or SamplingConfig(),
        seed=seed,
        beat=grid,
        harmony=harmony,
    )
    seam = inpaint_codes(model, request)
    closed = codes.copy()
    closed[:, frames - before :] = seam[:, reach - before : reach]
    closed[:, :after] = seam[:, reach : reach + after]
    return closed
