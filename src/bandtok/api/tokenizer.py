"""Audio to token grids and back: the public tokenizer.

audio file or waveform -> TokenGrid -> audio, in bounded memory
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil

import numpy as np

from bandtok import provenance
from bandtok.api.inputs import ArrayOrTensor, as_audio, as_tokens, like, numeric_array
from bandtok.backends import choose_runtime, load_codec_network, load_vocoder_network
from bandtok.backends.networks import VocoderNetwork
from bandtok.checkpoint import local_model, model_id, own_or_bundled
from bandtok.codec import WINDOW_FRAMES, Codec, VocoderLoader
from bandtok.errors import GridError, ModelMismatch
from bandtok.hub import HubModel
from bandtok.model_specs import TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.signal.audio import Audio, AudioReader, open_audio, resample_blocks
from bandtok.signal.mixing import repaired
from bandtok.stereo.rows import mid_and_side
from bandtok.tokenizer.mel_image import MelImageConfig
from bandtok.tokens.grid import TokenGrid
from bandtok.tokens.journal import EncodingJournal

Progress = Callable[[int, int], None]
AudioSource = str | os.PathLike[str] | Audio | AudioReader
"""A path, a waveform, or a file that is open (:func:`bandtok.signal.audio.open_audio`)."""

JOURNAL_FRAMES = 4 * 1024
"""Frames between two entries in the journal of a long encoding: 6.3 minutes of music."""
_DECODE_BLOCK_FRAMES = 512


class Tokenizer(HubModel):
    """Audio to token grids and back; made by :meth:`from_pretrained`.

    The model is mono: files with several channels are mixed down to their mean, unless stereo is
    requested, which adds rows from which left and right follow.
    """

    def __init__(self, codec: Codec, model_id: str) -> None:
        self.codec, self.model_id = codec, model_id

    def __repr__(self) -> str:
        return (
            f"Tokenizer({self.num_bands} bands x {self.frame_rate:.2f} frames/s, "
            f"{self.codebook_size} codes, {self.bit_rate_bps / 1000:.2f} kbit/s, "
            f"{self.sample_rate} Hz, {self.device}, {self.model_id})"
        )

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        vocoder: str | os.PathLike[str] | VocoderNetwork | None = None,
        device: str = "auto",
        backend: str = "auto",
        threads: int | None = None,
    ) -> Tokenizer:
        """Load a tokenizer; its own vocoder is loaded by the first decode.

        Args:
            name: None for the bundled weights, "debug" for a tiny random model, a model or run
                folder, or a hub id. The folder may hold `tokenizer/` and `vocoder/`, or a tokenizer
                alone, which then gets the bundled vocoder.
            vocoder: another vocoder, by name as above, loaded at once, or ready-made, which stays
                on its own device.
            device: "auto", "cpu", "cuda" or "mps".
            backend: "onnx" (CPU), "torch", or "auto": onnx on a CPU if the model's folder holds
                graphs (see `bandtok export`), else torch.
            threads: on the CPU; None for one per processor.

        Raises:
            CheckpointError: if a model cannot be found, is damaged or does not fit.
            ConfigError: if there is no such device or back end.
            MissingDependency: if torch is needed and not installed.
        """
        runtime = choose_runtime(device, backend, threads)
        source = local_model(name, (TOKENIZER_SPEC.name, VOCODER_SPEC.name))
        found: VocoderNetwork | VocoderLoader
        parts = {TOKENIZER_SPEC.name: source}
        if vocoder is None:
            parts[VOCODER_SPEC.name] = own = own_or_bundled(VOCODER_SPEC.name, source)
            found = VocoderLoader(load=lambda: load_vocoder_network(own, runtime))
        elif isinstance(vocoder, str | os.PathLike):
            parts[VOCODER_SPEC.name] = vocoder
            found = load_vocoder_network(vocoder, runtime)
        else:
            found, parts = vocoder, {}
        tokenizer = cls(Codec(load_codec_network(source, runtime), found), model_id(name))
        tokenizer.parts = parts
        return tokenizer

    @property
    def config(self) -> MelImageConfig:
        return self.codec.config

    @property
    def device(self) -> str:
        """Where the networks run: "cpu", "cuda" or "mps"."""
        return self.codec.network.device

    @property
    def sample_rate(self) -> int:
        """Hz of the audio the model works on."""
        return self.config.mel.sample_rate

    @property
    def samples_per_frame(self) -> int:
        return self.config.samples_per_frame

    @property
    def frame_rate(self) -> float:
        """Token frames per second."""
        return float(self.config.frame_rate)

    @property
    def num_bands(self) -> int:
        return self.config.num_bands

    @property
    def codebook_size(self) -> int:
        return self.config.codebook_size

    @property
    def bit_rate_bps(self) -> float:
        return self.config.bit_rate_bps

    @property
    def fingerprint(self) -> str:
        """Hash over all that gives a code its meaning."""
        return self.codec.fingerprint

    def encode(
        self,
        source: AudioSource | ArrayOrTensor,
        progress: Progress | None = None,
        stereo: bool = False,
        journal: EncodingJournal | None = None,
        *,
        sample_rate: int | None = None,
    ) -> TokenGrid:
        """Encode a file or a waveform, in bounded memory apart from the result.

        Args:
            source: path of anything libsndfile reads, which is opened once, or Audio, or an array
                or tensor [samples] or [channels, samples]; any rate, any number of channels.
            progress: called with (token frames done, about how many in all).
            stereo: keep two channels, in pan rows above the bands; a mono source is in the center.
            journal: keeps what is found every few minutes of music, and is read first for what a
                stopped call found; the caller discards it once the result is saved.
            sample_rate: Hz of an array or tensor; not for what has its own rate.

        Returns:
            A grid [bands, frames] that remembers the length in samples at the model's rate; of
            stereo, [bands + pan rows, frames], whose lower rows are the mono grid.

        Raises:
            AudioError: if the source is unreadable, damaged, holds NaN or infinity, or has more
                channels than stereo takes.
            GridError: if the codebook is too small for stereo.
        """
        audio = as_audio(source, sample_rate)
        if isinstance(audio, str | os.PathLike):
            with open_audio(audio) as reader:
                return self._encoded(reader, progress, stereo, journal)
        return self._encoded(audio, progress, stereo, journal)

    def encode_samples(self, blocks: Iterable[np.ndarray]) -> TokenGrid:
        """Encode a stream of mono samples, float32 [n] pieces at the model's rate, cut anywhere."""
        counter = _SampleCounter()
        found = self.codec.encode_blocks(counter.counted(blocks))
        codes = np.concatenate([np.zeros((self.num_bands, 0), np.int64), *found], axis=1)
        return self._grid(codes, counter.samples)

    def _encoded(
        self,
        source: Audio | AudioReader,
        progress: Progress | None,
        stereo: bool,
        journal: EncodingJournal | None,
    ) -> TokenGrid:
        counter = _SampleCounter()
        seconds = source.seconds if isinstance(source, Audio) else source.info.seconds
        total = ceil(seconds * self.frame_rate)
        codes = journal.known_codes() if journal else None
        known = None if codes is None else codes.astype(np.int64)
        if stereo:
            rows = self.num_bands + self.codec.pan_rows.num_rows
            stream = counter.counted(self._mid_side_blocks(source))
            found = self.codec.encode_stereo_blocks(stream, known)
        else:
            rows = self.num_bands
            stream = (block[0] for block in counter.counted(self._sample_blocks(source)))
            found = self.codec.encode_blocks(stream, known)
        pieces = [np.zeros((rows, 0), np.int64)]
        done = kept = 0
        for piece in found:
            pieces.append(piece)
            done += piece.shape[1]
            if progress:
                progress(min(done, total), total)
            if journal and done - kept >= JOURNAL_FRAMES:
                kept = done // WINDOW_FRAMES * WINDOW_FRAMES
                journal.keep(self._grid(np.concatenate(pieces, axis=1)[: self.num_bands, :kept]))
        grid = self._grid(np.concatenate(pieces, axis=1), counter.samples)
        if source.provenance:
            grid.extra[provenance.KEY] = dict(source.provenance)
        return grid

    def decode(
        self,
        grid: TokenGrid | str | os.PathLike[str],
        progress: Progress | None = None,
        force: bool = False,
    ) -> Audio:
        """Decode a whole grid into memory; see :meth:`decode_stream` for hours.

        Args:
            grid: made by this tokenizer; or the path of a token file (.btk).
            progress: called with (token frames done, in all).
            force: decode even a grid that says it was made by another model.

        Returns:
            Audio of exactly the original's length at the model's rate, with the grid's channels.

        Raises:
            ModelMismatch: if the grid was made by another model. GridError: if it is no grid.
            CheckpointError: if the vocoder, loaded by the first decode, is missing or damaged.
        """
        grid = as_tokens(grid)
        blocks = self.decode_stream(grid, progress, force)
        return Audio(
            np.concatenate([np.zeros((grid.channels, 0), np.float32), *blocks], axis=1),
            self.sample_rate,
            provenance.of_extra(grid.extra),
        )

    def decode_stream(
        self,
        grid: TokenGrid,
        progress: Progress | None = None,
        force: bool = False,
        samples: tuple[int, int] | None = None,
    ) -> Iterator[np.ndarray]:
        """Decode piece by piece: yields float32 [channels, n]; otherwise as `decode`.

        Args:
            grid, progress, force: as in `decode`.
            samples: decode only the samples from the first up to before the second; the same, bit
                for bit, as cut out of the whole.

        Raises:
            GridError: if that range is not inside the grid. ModelMismatch: as in `decode`.
        """
        grid = as_tokens(grid)
        self.check_grid(grid, force)
        assert grid.num_samples is not None
        if samples is None:
            return self._decoded(grid, progress)
        first, last = samples
        if not 0 <= first <= last <= grid.num_samples:
            raise GridError(
                f"got samples {first} to {last}; expected a range inside 0 to {grid.num_samples}"
            )
        begin, end = frames_to_decode(first, last, self.samples_per_frame, grid.num_frames)
        skipped = begin * self.samples_per_frame
        whole = self._decoded(grid.part(begin, end), progress)
        return _cut_out(whole, first - skipped, last - skipped)

    def decode_range(self, grid: TokenGrid, first: int, last: int, force: bool = False) -> Audio:
        """Decode samples `first` to `last` - 1; arguments and errors as in `decode_stream`."""
        blocks = self.decode_stream(grid, force=force, samples=(first, last))
        empty = np.zeros((grid.channels, 0), np.float32)
        marked = provenance.of_extra(grid.extra)
        return Audio(np.concatenate([empty, *blocks], axis=1), self.sample_rate, marked)

    def encode_waveform(
        self, waveform: ArrayOrTensor, lengths: Sequence[int] | None = None
    ) -> ArrayOrTensor:
        """Encode a batch: float [batch, 1, samples] -> int64 [batch, bands, frames].

        Arrays give arrays, tensors tensors. `lengths`: samples per row of a padded batch; then -1.
        """
        return like(waveform, self.codec.encode_waveform(numeric_array(waveform), lengths))

    def decode_codes(
        self, codes: ArrayOrTensor, lengths: Sequence[int] | None = None
    ) -> ArrayOrTensor:
        """Decode a batch: int [batch, rows, frames] -> float32 [batch, channels, samples].

        Arrays give arrays, tensors tensors. `lengths`: frames of each row of a padded batch.
        """
        return like(codes, self.codec.decode_codes(numeric_array(codes), lengths))

    def check_grid(self, grid: TokenGrid, force: bool = False) -> None:
        """Raise ModelMismatch unless this tokenizer can decode `grid`."""
        ours = (self.num_bands, self.codebook_size, self.sample_rate, self.samples_per_frame)
        theirs = (grid.num_bands, grid.codebook_size, grid.sample_rate, grid.samples_per_frame)
        if ours != theirs:
            raise ModelMismatch(
                "got a grid of (bands, codebook size, Hz, samples per frame) "
                f"{theirs}; expected {ours} for model {self.model_id!r}"
            )
        if grid.fingerprint and grid.fingerprint != self.fingerprint and not force:
            raise ModelMismatch(
                f"the tokens were made by model {grid.model_id!r} ({grid.fingerprint[:12]}), "
                f"not by {self.model_id!r} ({self.fingerprint[:12]}); name that model, or force it"
            )

    def _sample_blocks(self, source: Audio | AudioReader) -> Iterator[np.ndarray]:
        if isinstance(source, AudioReader):
            return source.blocks(self.sample_rate, mono=True)
        return iter([source.mono().resampled(self.sample_rate).waveform])

    def _mid_side_blocks(self, source: Audio | AudioReader) -> Iterator[np.ndarray]:
        if isinstance(source, Audio):
            rate, name, blocks = source.sample_rate, "the waveform", iter([source.waveform])
        else:
            rate, name = source.info.sample_rate, source.name
            blocks = source.blocks(rate, mono=False)
        both = mid_and_side(repaired(blocks, rate, name))
        return resample_blocks(both, rate, self.sample_rate, 2)

    def _grid(self, codes: np.ndarray, num_samples: int | None = None) -> TokenGrid:
        return TokenGrid(
            codes=codes,
            codebook_size=self.codebook_size,
            sample_rate=self.sample_rate,
            samples_per_frame=self.samples_per_frame,
            num_samples=num_samples,
            model_id=self.model_id,
            fingerprint=self.fingerprint,
            extra={"encode_mode": {"device": self.device, "dtype": "float32"}},
            pan_bands=self.num_bands if len(codes) > self.num_bands else 0,
        )

    def _decoded(self, grid: TokenGrid, progress: Progress | None) -> Iterator[np.ndarray]:
        codes = grid.codes.astype(np.int64)
        assert grid.num_samples is not None
        left, done = grid.num_samples, 0
        starts = range(0, codes.shape[1], _DECODE_BLOCK_FRAMES)
        blocks = (codes[:, first : first + _DECODE_BLOCK_FRAMES] for first in starts)
        if grid.pan_bands:
            waveforms = self.codec.decode_stereo_blocks(blocks)
        else:
            waveforms = (mono[None] for mono in self.codec.decode_blocks(blocks))
        for waveform in waveforms:
            yield waveform[:, :left]
            left -= min(left, waveform.shape[1])
            done = min(done + waveform.shape[1] // self.samples_per_frame, grid.num_frames)
            if progress:
                progress(done, grid.num_frames)


def frames_to_decode(
    first: int, last: int, samples_per_frame: int, num_frames: int
) -> tuple[int, int]:
    """Return the frames to decode for samples `first` to `last` - 1 to be those of the whole.

    Whole windows, and one more on either side, since every window sees into its neighbors.
    """
    width = WINDOW_FRAMES * samples_per_frame
    begin = max(first // width - 1, 0) * WINDOW_FRAMES
    end = min((-(-last // width) + 1) * WINDOW_FRAMES, num_frames)
    return begin, max(begin, end)


def _cut_out(blocks: Iterable[np.ndarray], first: int, last: int) -> Iterator[np.ndarray]:
    """Yield columns `first` to `last` - 1 of a stream of [channels, n] blocks."""
    start = 0
    for block in blocks:
        part = block[:, max(first - start, 0) : max(last - start, 0)]
        start += block.shape[1]
        if part.shape[1]:
            yield part
        if start >= last:
            return


class _SampleCounter:
    """Counts the samples of a stream that passes through."""

    def __init__(self) -> None:
        self.samples = 0

    def counted(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self.samples += block.shape[-1]
            yield block
