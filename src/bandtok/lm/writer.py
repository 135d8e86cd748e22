"""Clips written side by side, code by code, in windows that move over pieces of any length.

Memory and time per token stay bounded; known tokens on either side of a gap, and in other bands,
are read first. Knows nothing of audio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bandtok.lm.beat import BeatGrid
from bandtok.lm.decoding import WindowDecoder
from bandtok.lm.harmony import HarmonyTarget
from bandtok.lm.levels import LevelHolder, LevelTarget
from bandtok.lm.networks import LanguageModel
from bandtok.lm.sampling import SamplingConfig, sample_codes
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.token_order import flatten
from bandtok.lm.windows import plan_windows, read_window


@dataclass(frozen=True, kw_only=True)
class ClipBatch:
    """Clips that are written side by side.

    Attributes:
        text: a row per clip, or None.
        codes: int64 [clips, bands, frames], what each has so far.
        rngs: what each is sampled with.
        beat: a row per clip, or None.
        decoder: that has read these codes; None if there is none yet.
    """

    text: TextEmbeddings | None
    codes: np.ndarray
    rngs: Sequence[np.random.Generator]
    beat: BeatGrid | None
    decoder: WindowDecoder | None = None

    def rows(self, indices: Sequence[int]) -> ClipBatch:
        """Return these clips, in this order."""
        return ClipBatch(
            text=None if self.text is None else self.text.rows(indices),
            codes=self.codes[list(indices)],
            rngs=[self.rngs[index] for index in indices],
            beat=None if self.beat is None else self.beat.rows(indices),
            decoder=None if self.decoder is None else self.decoder.rows(indices),
        )


@dataclass(frozen=True, kw_only=True)
class ClipWriter:
    """Writes clips.

    Attributes:
        model: the network.
        sampling: how codes are sampled.
        level: what their levels are held at; None leaves them to the model.
        harmony: their chords and key; None leaves them to the model.
    """

    model: LanguageModel
    sampling: SamplingConfig
    level: LevelTarget | None = None
    harmony: HarmonyTarget | None = None

    def decoder(self, batch: ClipBatch) -> WindowDecoder:
        """Return a decoder of clips that has read nothing."""
        return WindowDecoder(self.model, len(batch.rngs), batch.text, batch.beat, self.sampling)

    def extend(
        self, batch: ClipBatch, num_frames: int, ratios: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Write frames after what each clip has; see `complete`."""
        clips, bands, known = batch.codes.shape
        unknown = np.zeros((clips, bands, num_frames), np.int64)
        codes = np.concatenate((batch.codes, unknown), axis=2)
        keep = np.broadcast_to(np.arange(codes.shape[2]) < known, codes.shape[1:])
        return self.complete(replace(batch, codes=codes), keep, ratios)

    def complete(
        self, batch: ClipBatch, keep: np.ndarray, ratios: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Write the codes that are not to be kept, bool [bands, frames].

        Args:
            batch: the clips.
            keep: where a code is known.
            ratios: float [clips], to which is added by how many nats the text made what was written
                likelier.

        Yields:
            int64 [clips, bands] columns, in order, each once no code of it will change.
        """
        num_bands, num_frames = batch.codes.shape[1:]
        tokens, unknown = flatten(batch.codes).copy(), ~keep
        config, done = self.model.config, 0
        decoder = batch.decoder or self.decoder(batch)
        grid = tokens.reshape(len(tokens), num_frames, num_bands).swapaxes(1, 2)  # a view
        holder = LevelHolder(self.level, ~keep) if self.level else None
        for plan in plan_windows(unknown, config.window_frames):
            reading = read_window(unknown, plan, config.window_frames, config.order)
            cells = (reading.order + plan.start * num_bands).tolist()
            yield from _columns(tokens, num_bands, done, plan.first)
            done = max(done, plan.first)
            known = tokens[:, cells[: reading.num_known]]
            logits = decoder.begin(reading.order, known, plan.start)
            for place in range(reading.num_known, len(cells)):
                final = plan.start + reading.frames_done[place]
                yield from _columns(tokens, num_bands, done, final)
                done = max(done, final)
                if reading.wanted[place]:
                    frame, band = divmod(cells[place], num_bands)
                    if holder:
                        logits = logits + holder.bias(grid, frame, band)
                    if self.harmony:
                        logits = logits + self.harmony.bias(frame, band)
                    codes = sample_codes(logits, self.sampling, batch.rngs)
                    tokens[:, cells[place]] = codes
                    if ratios is not None:
                        ratios += decoder.text_log_likelihood_ratio(codes)
                if place + 1 < len(cells):
                    logits = decoder.step(tokens[:, cells[place]])
            unknown[:, plan.first : plan.last] = False
        yield from _columns(tokens, num_bands, done, num_frames)


def seeded_rng(seed: int) -> np.random.Generator:
    """Return the generator that a clip of this seed is sampled with."""
    return np.random.Generator(np.random.PCG64(seed))


def _columns(tokens: np.ndarray, num_bands: int, first: int, last: int) -> Iterator[np.ndarray]:
    """Yield copies of frames `first` to `last` - 1, [clips, bands] each."""
    for frame in range(first, last):
        yield tokens[:, frame * num_bands : (frame + 1) * num_bands].copy()
