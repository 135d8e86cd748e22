"""The codec on arrays: waveform to codes and back, bit-identical regardless of chunking.

    samples -> mel -> codes        codes -> mel -> samples

Stereo is the codes of the mean of both channels with pan rows above (:mod:`bandtok.stereo`).
Everything is computed in windows at fixed positions with the context that the networks need; the
mel image of a piece is padded with silence; its spectra at both ends see the sound mirrored. Knows
nothing of files or text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import tee
from math import ceil

import numpy as np

from bandtok.backends.networks import CodecNetwork, VocoderNetwork
from bandtok.errors import AudioError, GridError
from bandtok.signal.endings import cut_loop
from bandtok.signal.mel import LogMel
from bandtok.signal.rumble_filter import RumbleFilter
from bandtok.signal.windows import WindowPlan, cut_overlapping, cut_windows, reflect_padded
from bandtok.stereo.rows import PanRows, stack_rows

WINDOW_FRAMES = 128
NO_CODE = -1
"""Stands in a batch of codes where a row has ended; no decoder takes it."""
_STEP_FRAMES = 16
_LEVEL_PASSES = 3
_LEVEL_SCALE = (
    1.86  # in music, whose neighbors are alike, a code counts so much more than amid noise
)
_PROMPT_FRAMES = 8
"""Core of the first windows of a stream that is wanted promptly."""


@dataclass(frozen=True, kw_only=True)
class VocoderLoader:
    """A vocoder that is loaded by the first decode: encoding needs none."""

    load: Callable[[], VocoderNetwork]


class Codec:
    """Tokenizer and vocoder networks, connected.

    Args:
        network: mel <-> codes.
        vocoder: mel -> waveform; or what loads it when it is first needed.
    """

    def __init__(self, network: CodecNetwork, vocoder: VocoderNetwork | VocoderLoader) -> None:
        self.network, self._vocoder_or_loader = network, vocoder
        self.config = config = network.config
        self.fingerprint = network.fingerprint
        self.log_mel = LogMel(config.mel)
        self.rumble_filter = RumbleFilter(config.mel.sample_rate)
        self._encoder_plan = WindowPlan(
            core=WINDOW_FRAMES * config.reduction,
            halo=config.encoder_reach * config.reduction,
            step=_STEP_FRAMES * config.reduction,
        )
        self._decoder_plan = WindowPlan(
            core=WINDOW_FRAMES, halo=config.decoder_reach, step=_STEP_FRAMES
        )
        self._silent_mel = np.full((config.mel.n_mels, 1), config.mel.silence, np.float32)

    @cached_property
    def vocoder(self) -> VocoderNetwork:
        """Mel -> waveform, loaded by the first decode.

        Raises:
            CheckpointError: if it is missing, damaged or does not fit.
        """
        found = self._vocoder_or_loader
        return found.load() if isinstance(found, VocoderLoader) else found

    @cached_property
    def _vocoder_plan(self) -> WindowPlan:
        config = self.config
        filter_frames = -(-self.rumble_filter.context_samples // config.mel.hop_length)
        return WindowPlan(
            core=WINDOW_FRAMES * config.reduction,
            halo=self.vocoder.reach + filter_frames,
            step=_STEP_FRAMES * config.reduction,
        )

    @cached_property
    def pan_rows(self) -> PanRows:
        """What makes and reads the further rows of stereo grids.

        Raises:
            GridError: if the codebook is too small for them, or a frame has not as many codes as
                the mel image has rows.
        """
        if self.config.num_bands != self.config.image_rows:
            raise GridError(
                f"stereo needs {self.config.image_rows} codes a frame, a row of the mel image "
                f"each; this model has {self.config.num_bands}"
            )
        return PanRows(
            self.log_mel,
            num_bands=self.config.num_bands,
            reduction=self.config.reduction,
            codebook_size=self.config.codebook_size,
            window_frames=WINDOW_FRAMES,
            step_frames=_STEP_FRAMES,
        )

    def encode_blocks(
        self, blocks: Iterable[np.ndarray], known: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Encode a stream of mono samples in bounded memory.

        Args:
            blocks: float32 [n] pieces at the model's sample rate, cut anywhere.
            known: the first codes, [bands, frames], found before: whole windows of WINDOW_FRAMES
                frames. They are handed out as they are and nearly all work on them is saved.

        Yields:
            int64 [bands, n] pieces; ceil(samples / samples_per_frame) frames in all.
        """
        plan, known_windows = self._encoder_plan, 0
        if known is not None:
            assert known.shape[1] % WINDOW_FRAMES == 0, "known codes are whole windows"
            known_windows = known.shape[1] // WINDOW_FRAMES
        mels = self._mel_blocks(blocks, known_windows - 1)
        for index, window in enumerate(cut_windows(mels, plan, self._silent_mel)):
            if known is not None and index < known_windows:
                yield known[:, index * WINDOW_FRAMES : (index + 1) * WINDOW_FRAMES]
                continue
            codes = self.network.encode_mel(window.columns)
            first = plan.halo // self.config.reduction
            yield codes[:, first : first + window.valid // self.config.reduction]

    def decode_blocks(
        self, blocks: Iterable[np.ndarray], *, promptly: bool = False, first_frame: int = 0
    ) -> Iterator[np.ndarray]:
        """Decode a stream of codes in bounded memory.

        Args:
            blocks: int64 [bands, n] pieces, cut anywhere.
            promptly: begin with small windows, so that the first samples follow 28 frames rather
                than 140. It takes more work, and samples differ by rounding (130 dB below).
            first_frame: place of the stream in its piece.

        Yields:
            float32 [n] pieces of samples, free of DC and of rumble below 20 Hz
            (`RumbleFilter`); frames * samples_per_frame in all.
        """
        plan, hop = self._vocoder_plan, self.config.mel.hop_length
        first = _PROMPT_FRAMES if promptly else 0
        mels = self._decoded_mel(blocks, first, first_frame)
        plan = replace(plan, first=first * self.config.reduction)
        for window in cut_windows(mels, plan, self._silent_mel):
            waveform = self.rumble_filter(self.vocoder.decode_mel(window.columns))
            yield waveform[plan.halo * hop : (plan.halo + window.valid) * hop]

    def encode_stereo_blocks(
        self, blocks: Iterable[np.ndarray], known: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Encode a stream of two channels in bounded memory.

        Args:
            blocks: float32 [2, n] pieces of mid and side at the model's rate, cut anywhere.
            known: the first codes of mid, as for `encode_blocks`.

        Yields:
            int64 [bands + pan rows, n]; the lower rows are the codes of mid alone.
        """
        for_mid, for_pan = tee(blocks)
        codes = self.encode_blocks((block[0] for block in for_mid), known)
        yield from stack_rows(codes, self.pan_rows.measure(for_pan))

    def decode_stereo_blocks(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Decode a stream of int64 [bands + pan rows, n] pieces to float32 [2, n].

        Raises:
            GridError: if a token of a pan row is not one.
        """
        for_mid, for_pan = tee(blocks)
        bands = self.config.num_bands
        mid = self.decode_blocks(block[:bands] for block in for_mid)
        yield from self.pan_rows.spread(mid, (block[bands:] for block in for_pan))

    def encode_waveform(
        self, waveform: np.ndarray, lengths: Sequence[int] | None = None
    ) -> np.ndarray:
        """Encode a batch, each row exactly as if alone.

        Args:
            waveform: float [batch, 1, samples] at the model's sample rate.
            lengths: samples of each row without its padding; None if there is none.

        Returns:
            int64 [batch, bands, frames]; NO_CODE where a row has ended.

        Raises:
            AudioError: if the shape is wrong, a sample is not finite or a length is out of range.
        """
        if waveform.ndim != 3 or waveform.shape[1] != 1:
            raise AudioError(
                f"got a waveform of shape {tuple(waveform.shape)}; expected [batch, 1, samples]"
            )
        if not np.isfinite(waveform).all():
            raise AudioError("the waveform holds NaN or infinity; expected finite numbers")
        empty = np.zeros((self.config.num_bands, 0), np.int64)
        ends = _checked_lengths(lengths, len(waveform), waveform.shape[2], AudioError)
        rows = [
            np.concatenate([empty, *self.encode_blocks([row[0, :end].astype(np.float32)])], axis=1)
            for row, end in zip(waveform, ends, strict=True)
        ]
        return _stacked(rows, NO_CODE) if rows else empty[None][:0]

    def decode_codes(self, codes: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        """Decode a batch, each row exactly as if alone.

        Args:
            codes: int [batch, bands, frames], or with the pan rows of stereo above the bands.
            lengths: frames of each row without its padding; None if there is none.

        Returns:
            float32 [batch, 1, frames * samples_per_frame]; [batch, 2, ...] of stereo; 0 where a row
            has ended.

        Raises:
            GridError: if the shape is wrong, a code is not in the codebook or a length is out of
                range.
        """
        bands, size = self.config.num_bands, self.config.codebook_size
        rows = codes.shape[1] if codes.ndim == 3 else 0
        stereo = rows > bands and rows == bands + self.pan_rows.num_rows
        if not (rows == bands or stereo) or codes.dtype.kind not in "iu":
            raise GridError(
                f"got codes of shape {tuple(codes.shape)} and type {codes.dtype}; "
                f"expected integers [batch, {bands}, frames]"
            )
        ends = _checked_lengths(lengths, len(codes), codes.shape[2], GridError)
        singles = []
        for row, end in zip(codes, ends, strict=True):
            real = row[:, :end].astype(np.int64)
            if real.size and not 0 <= int(real.min()) <= int(real.max()) < size:
                raise GridError(
                    f"got codes from {int(real.min())} to {int(real.max())}; "
                    f"expected 0 to {size - 1}"
                )
            singles.append(self._decode_one(real, stereo))
        return _stacked(singles, 0) if singles else np.zeros((0, 1 + stereo, 0), np.float32)

    def _decode_one(self, codes: np.ndarray, stereo: bool) -> np.ndarray:
        if stereo:
            pieces = [np.zeros((2, 0), np.float32), *self.decode_stereo_blocks([codes])]
            return np.concatenate(pieces, axis=1)
        return np.concatenate([np.zeros(0, np.float32), *self.decode_blocks([codes])])[None]

    def decode_loop(self, codes: np.ndarray) -> np.ndarray:
        """Decode one pass of a loop, int [bands, frames], whose end leads into its beginning.

        What the networks see before and after it is the loop itself.

        Returns:
            float32 [frames * samples_per_frame].
        """
        reach = self.config.decoder_reach + ceil(self._vocoder_plan.halo / self.config.reduction)
        around = np.pad(codes, ((0, 0), (reach, reach)), mode="wrap")
        size = self.config.samples_per_frame
        waveform = self._decode_one(around, False)[0]
        rate = self.config.mel.sample_rate
        return cut_loop(waveform, reach * size, codes.shape[1] * size, rate)

    @property
    def level_source(self) -> Callable[[], np.ndarray] | None:
        """What returns `code_levels`; None if rows of codes are no bands, whose levels add up."""
        return (lambda: self.code_levels) if self.config.rows_are_bands else None

    @cached_property
    def code_levels(self) -> np.ndarray:
        """The level of each code as ln amplitude, relative to that of the mean code.

        Float32 [codebook_size], measured by decoding each code a few times amid random others,
        which takes about a second with the bundled model.
        """
        config = self.config
        rng = np.random.default_rng(0)
        bands, size, folds = config.num_bands, config.codebook_size, config.mel.n_mels
        columns = -(-size // bands)
        sums, counts = np.zeros(size), np.zeros(size)
        for _ in range(_LEVEL_PASSES):
            codes = rng.permutation(np.resize(np.arange(size), columns * bands))
            codes = codes.reshape(bands, columns)
            cells = self.decode_mel(codes).reshape(bands, folds // bands, columns, -1)
            levels = cells.mean(axis=(1, 3))
            np.add.at(sums, codes, levels - levels.mean(axis=1, keepdims=True))
            np.add.at(counts, codes, 1)
        found = _LEVEL_SCALE * sums / counts
        relative: np.ndarray = (found - found.mean()).astype(np.float32)
        return relative

    def decode_mel(self, codes: np.ndarray) -> np.ndarray:
        """Decode codes [bands, frames] to the vocoder's input, ln-mel [n_mels, mel_frames]."""
        return np.concatenate([self._silent_mel[:, :0], *self._decoded_mel([codes])], axis=1)

    def _decoded_mel(
        self, blocks: Iterable[np.ndarray], first_core: int = 0, first_frame: int = 0
    ) -> Iterator[np.ndarray]:
        """Turn codes [bands, n] into ln-mel [n_mels, n * reduction]; see `decode_blocks`."""
        plan, reduction = replace(self._decoder_plan, first=first_core), self.config.reduction
        for window in cut_windows(blocks, plan, self._silent_codes):
            position = first_frame + window.start - plan.halo
            mel = self.network.decode_codes(window.columns, first_frame=position)
            yield mel[:, plan.halo * reduction : (plan.halo + window.valid) * reduction]

    def _mel_blocks(self, blocks: Iterable[np.ndarray], skipped: int) -> Iterator[np.ndarray]:
        """Turn samples into ln-mel [n_mels, n], whole token frames in all.

        The first `skipped` pieces are silence instead.
        """
        padding = self.config.mel.padding
        stream = reflect_padded(blocks, padding, self.config.samples_per_frame)
        core = WINDOW_FRAMES * self.config.samples_per_frame
        silent = self._silent_mel.repeat(WINDOW_FRAMES * self.config.reduction, axis=1)
        for index, samples in enumerate(cut_overlapping(stream, core, padding)):
            if index < skipped:
                yield silent
                continue
            yield self.log_mel.from_padded(samples)

    @cached_property
    def _silent_codes(self) -> np.ndarray:
        reach, reduction = self.config.encoder_reach, self.config.reduction
        silence = self._silent_mel.repeat((2 * reach + 1) * reduction, axis=1)
        return self.network.encode_mel(silence)[:, reach : reach + 1]


def _checked_lengths(
    lengths: Sequence[int] | None, rows: int, longest: int, error: type[ValueError]
) -> list[int]:
    """Return the length of each row of a batch; all of it without `lengths`."""
    if lengths is None:
        return [longest] * rows
    found = [int(length) for length in lengths]
    if len(found) != rows or not all(0 <= length <= longest for length in found):
        raise error(f"got lengths {found!r:.80}; expected {rows} numbers from 0 to {longest}")
    return found


def _stacked(rows: Sequence[np.ndarray], padding: int) -> np.ndarray:
    """Stack rows [..., n] of different lengths."""
    longest = max(row.shape[-1] for row in rows)
    widths = [(0, 0)] * (rows[0].ndim - 1)
    return np.stack(
        [
            np.pad(row, (*widths, (0, longest - row.shape[-1])), constant_values=padding)
            for row in rows
        ]
    )
