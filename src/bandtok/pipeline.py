"""The networks wired for use: files to token grids and back, prompts to music.

Tokenizer   audio file -> TokenGrid -> audio file
MusicModel  prompt, or a piece with a gap -> TokenGrid -> audio
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from bandtok.audio import Audio, probe_audio, resample_blocks, stream_audio
from bandtok.checkpoint import holds_network, load_network
from bandtok.codec import WINDOW_FRAMES, Codec, ExternalVocoder, MelVocoder
from bandtok.errors import CheckpointError, ConfigError, GridError, ModelMismatch
from bandtok.grid import TokenGrid
from bandtok.journal import EncodingJournal
from bandtok.layers.mel_image import MelImageConfig
from bandtok.loudness import TARGET_LUFS, check_target, normalize_loudness
from bandtok.mel import mel_bin_centres_hz
from bandtok.music_lm.decoding import StepWeights
from bandtok.music_lm.generation import FrameCallback, check_bpm, complete_codes, generate_batch
from bandtok.music_lm.listener import Listener
from bandtok.music_lm.model import MusicLM
from bandtok.music_lm.sampling import SamplingConfig
from bandtok.music_lm.text import TextEncoder, TextStates
from bandtok.music_lm.text_encoder import load_text_encoder
from bandtok.networks import LISTENER_KIND, MUSIC_LM_KIND, TOKENIZER_KIND, VOCODER_KIND
from bandtok.region import Region
from bandtok.stereo.rows import mid_and_side
from bandtok.token_file import TOKEN_FILE_SUFFIX

Progress = Callable[[int, int], None]
AudioSource = str | os.PathLike[str] | Audio
Item = TypeVar("Item")

MAX_DURATION_SECONDS = 3600.0
JOURNAL_FRAMES = 4 * 1024
"""Frames between two notes in the journal of a long encoding: 6.3 minutes of music."""
_DECODE_BLOCK_FRAMES = 512


class Tokenizer:
    """Audio to token grids and back; made by :meth:`from_pretrained`.

    The model is mono: files with several channels are mixed down to their mean, unless stereo is
    asked for, which adds rows that say how left and right follow from it.
    """

    def __init__(self, codec: Codec, model_id: str) -> None:
        self.codec, self.model_id = codec, model_id

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        vocoder: str | os.PathLike[str] | ExternalVocoder | None = None,
        device: str = "auto",
    ) -> Tokenizer:
        """Load a tokenizer and its vocoder.

        Args:
            name: None for the bundled weights, "debug" for a tiny random model, a model or run
                folder, or a hub id. The folder may hold `tokenizer/` and `vocoder/`, or a tokenizer
                alone, which then gets the bundled vocoder.
            vocoder: another vocoder, by name as above or ready-made.
            device: "auto", "cpu", "cuda" or "mps".

        Raises:
            CheckpointError: if a model cannot be found, is damaged or does not fit.
        """
        device = choose_device(device)
        network = load_network(TOKENIZER_KIND, name, device)
        codec = Codec(network, _load_vocoder(name, vocoder, device), device)
        return cls(codec, model_id(name))

    @property
    def config(self) -> MelImageConfig:
        return self.codec.config

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
        source: AudioSource,
        progress: Progress | None = None,
        stereo: bool = False,
        journal: EncodingJournal | None = None,
    ) -> TokenGrid:
        """Encode a file or a waveform, in bounded memory apart from the result.

        Args:
            source: path of anything libsndfile reads, or Audio; any rate, any number of channels.
            progress: called with (token frames done, about how many in all).
            stereo: keep two channels, in pan rows above the bands; a mono source is in the centre.
            journal: keeps what is found every few minutes of music, and is asked first what a
                stopped call found; the caller discards it once the result is saved.

        Returns:
            A grid [bands, frames] that remembers the length in samples at the model's rate; of
            stereo, [bands + pan rows, frames], whose lower rows are the mono grid.

        Raises:
            AudioError: if the source is unreadable, damaged, holds NaN or infinity, or has more
                channels than stereo takes.
            GridError: if the codebook is too small for stereo.
        """
        counter = _SampleCounter()
        total = ceil(_expected_seconds(source) * self.frame_rate)
        codes = journal.known_codes() if journal else None
        known = None if codes is None else torch.from_numpy(codes).long()
        if stereo:
            rows = self.num_bands + self.codec.pan_rows.num_rows
            stream = counter.counted(self._mid_side_blocks(source))
            found = self.codec.encode_stereo_blocks(stream, known)
        else:
            rows = self.num_bands
            stream = (block[0] for block in counter.counted(self._sample_blocks(source)))
            found = self.codec.encode_blocks(stream, known)
        pieces = [torch.zeros(rows, 0, dtype=torch.int64)]
        done = kept = 0
        for piece in found:
            pieces.append(piece)
            done += piece.shape[1]
            if progress:
                progress(min(done, total), total)
            if journal and done - kept >= JOURNAL_FRAMES:
                kept = done // WINDOW_FRAMES * WINDOW_FRAMES
                journal.keep(self._grid(torch.cat(pieces, dim=1)[: self.num_bands, :kept]))
        return self._grid(torch.cat(pieces, dim=1), counter.samples)

    def decode(
        self, grid: TokenGrid, progress: Progress | None = None, force: bool = False
    ) -> Audio:
        """Decode a whole grid into memory; see :meth:`decode_stream` for hours.

        Args:
            grid: made by this tokenizer.
            progress: called with (token frames done, in all).
            force: decode even a grid that says it was made by another model.

        Returns:
            Audio of exactly the original's length at the model's rate, with the grid's channels.

        Raises:
            ModelMismatch: if the grid was made by another model.
        """
        blocks = self.decode_stream(grid, progress, force)
        return Audio(
            np.concatenate([np.zeros((grid.channels, 0), np.float32), *blocks], axis=1),
            self.sample_rate,
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
        return Audio(np.concatenate([empty, *blocks], axis=1), self.sample_rate)

    def encode_waveform(self, waveform: Tensor) -> Tensor:
        """Encode a batch: float [batch, 1, samples] -> int64 [batch, bands, frames]."""
        return self.codec.encode_waveform(waveform)

    def decode_codes(self, codes: Tensor) -> Tensor:
        """Decode a batch: int [batch, rows, frames] -> float32 [batch, channels, samples]."""
        return self.codec.decode_codes(codes)

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

    def _sample_blocks(self, source: AudioSource) -> Iterator[np.ndarray]:
        if isinstance(source, Audio):
            mono = source.mono()
            return resample_blocks([mono.waveform], mono.sample_rate, self.sample_rate, 1)
        return stream_audio(source, self.sample_rate, mono=True)

    def _mid_side_blocks(self, source: AudioSource) -> Iterator[np.ndarray]:
        if isinstance(source, Audio):
            rate, blocks = source.sample_rate, iter([source.waveform])
        else:
            rate = probe_audio(source).sample_rate
            blocks = stream_audio(source, rate, mono=False)
        return resample_blocks(mid_and_side(blocks), rate, self.sample_rate, 2)

    def _grid(self, codes: Tensor, num_samples: int | None = None) -> TokenGrid:
        return TokenGrid(
            codes=codes.numpy(),
            codebook_size=self.codebook_size,
            sample_rate=self.sample_rate,
            samples_per_frame=self.samples_per_frame,
            num_samples=num_samples,
            model_id=self.model_id,
            fingerprint=self.fingerprint,
            extra={"encode_mode": {"device": self.codec.device, "dtype": "float32"}},
            pan_bands=self.num_bands if len(codes) > self.num_bands else 0,
        )

    def _decoded(self, grid: TokenGrid, progress: Progress | None) -> Iterator[np.ndarray]:
        codes = torch.from_numpy(grid.codes).long()
        assert grid.num_samples is not None
        left, done = grid.num_samples, 0
        blocks = codes.split(_DECODE_BLOCK_FRAMES, dim=1)
        if grid.pan_bands:
            waveforms = self.codec.decode_stereo_blocks(blocks)
        else:
            waveforms = (mono[None] for mono in self.codec.decode_blocks(blocks))
        for waveform in waveforms:
            yield waveform[:, :left].numpy()
            left -= min(left, waveform.shape[1])
            done = min(done + waveform.shape[1] // self.samples_per_frame, grid.num_frames)
            if progress:
                progress(done, grid.num_frames)


def frames_to_decode(
    first: int, last: int, samples_per_frame: int, num_frames: int
) -> tuple[int, int]:
    """Return the frames to decode for samples `first` to `last` - 1 to be those of the whole.

    Whole windows, and one more on either side, since every window sees into its neighbours.
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


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Generated music.

    Attributes:
        audio: what `grid` decodes to; from `MusicModel.generate`, at the loudness asked for.
        grid: the tokens, which know nothing of that loudness.
    """

    audio: Audio
    grid: TokenGrid


class MusicModel:
    """Prompts to music; made by :meth:`from_pretrained`.

    Args:
        network: writes codes.
        text_encoder: reads prompts.
        tokenizer: makes codes sound.
        listener: chooses among candidates; None leaves that to the network itself.

    Raises:
        CheckpointError: if network and tokenizer do not belong together.
    """

    def __init__(
        self,
        network: MusicLM,
        text_encoder: TextEncoder,
        tokenizer: Tokenizer,
        listener: Listener | None = None,
    ) -> None:
        wanted = network.config.tokenizer_fingerprint
        if wanted and wanted != tokenizer.fingerprint:
            raise CheckpointError(
                f"the music model was trained on codes of tokenizer {wanted[:12]}, not on those of "
                f"{tokenizer.model_id!r} ({tokenizer.fingerprint[:12]})"
            )
        self.network, self.text_encoder, self.tokenizer = network, text_encoder, tokenizer
        self.listener = listener
        self._weights = StepWeights(network)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        tokenizer: str | os.PathLike[str] | None = None,
        device: str = "auto",
    ) -> MusicModel:
        """Load a music language model with its tokenizer, vocoder, text encoder and listener.

        Args:
            name: None for the bundled weights, "debug" for a tiny random model, a model or run
                folder, or a hub id. The listener is the one in `name` if that folder holds
                `listener/`, or the bundled one where it knows the same codes and text encoder.
            tokenizer: another tokenizer, by name; the default is the bundled one, or the one in
                `name` if that folder holds `tokenizer/`.
            device: "auto", "cpu", "cuda" or "mps".

        Raises:
            CheckpointError: if a model cannot be found, is damaged or does not fit the tokenizer.
        """
        device = choose_device(device)
        network = load_network(MUSIC_LM_KIND, name, device)
        if tokenizer is None and name is not None:
            tokenizer = name if holds_network(TOKENIZER_KIND.name, name) else None
        encoder = load_text_encoder(network.config.text_encoder)
        listener = _load_listener(name, network, device)
        return cls(network, encoder, Tokenizer.from_pretrained(tokenizer, device=device), listener)

    def generate(
        self,
        prompt: str = "",
        duration_seconds: float = 10.0,
        seed: int = 0,
        *,
        temperature: float = 1.0,
        top_k: int = 250,
        top_p: float = 1.0,
        guidance_scale: float = 6.0,
        beat_scale: float = 4.0,
        candidates: int = 4,
        bpm: float | None = None,
        continue_from: TokenGrid | None = None,
        loudness_lufs: float | None = TARGET_LUFS,
        on_progress: Progress | None = None,
        on_column: Callable[[Tensor], None] | None = None,
    ) -> Clip:
        """Write music from a prompt.

        Args:
            prompt: what to play; empty means unconditional. Only its beginning is heard if it is
                longer than the text encoder takes (`hears_all_of`).
            duration_seconds: length of the new music, above 0 and up to an hour.
            seed: same seed, same machine, same version: same tokens.
            temperature, top_k, top_p, guidance_scale, beat_scale: see SamplingConfig.
            candidates: openings (3 s of the bundled model) to choose among; the one that goes best
                with the prompt, as the listener hears it, is played on. Without a prompt there is
                nothing to choose by. 1 takes what comes.
            bpm: tempo in beats a minute, the first beat at the beginning of what is new; 0 gives no
                beat. None draws one as the prompt suggests, of models that have learned a beat
                clock. In what follows on `continue_from`, None goes by what is heard there.
            continue_from: begin with this grid and play on from it.
            loudness_lufs: integrated loudness of the clip, -60 to 0 LUFS, with true peaks limited
                to -1 dBFS (`bandtok.loudness.normalize_loudness`); one gain for the whole clip,
                with what it continues. None leaves the level that the tokens decode to. Tokens
                are the same in any case.
            on_progress: called with (frames done, frames in all).
            on_column: called with the codes of each frame, int64 [bands], as soon as they are
                there; those of `continue_from` come first.

        Raises:
            ConfigError: if a setting is out of range. ModelMismatch: if `continue_from` was made
            by another tokenizer.
        """
        sampling = SamplingConfig(
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            guidance_scale=guidance_scale,
            beat_scale=beat_scale,
        )
        return self._generate(
            [prompt],
            [seed],
            duration_seconds,
            sampling,
            candidates,
            bpm,
            continue_from,
            loudness_lufs,
            on_progress,
            on_column,
        )[0]

    def generate_batch(
        self,
        prompts: Sequence[str],
        duration_seconds: float = 10.0,
        seeds: Sequence[int] | None = None,
        *,
        temperature: float = 1.0,
        top_k: int = 250,
        top_p: float = 1.0,
        guidance_scale: float = 6.0,
        beat_scale: float = 4.0,
        candidates: int = 4,
        bpm: float | None = None,
        continue_from: TokenGrid | None = None,
        loudness_lufs: float | None = TARGET_LUFS,
        on_progress: Progress | None = None,
    ) -> list[Clip]:
        """Write several clips side by side: eight cost about three times as much as one.

        Args:
            prompts: one for each clip.
            seeds: one for each clip; 0, 1, 2, ... if not given.
            duration_seconds, temperature, top_k, top_p, guidance_scale, beat_scale, candidates,
                bpm, continue_from, loudness_lufs, on_progress: as in `generate`, the same for all.

        Raises:
            ConfigError: as in `generate`, or if prompts and seeds differ in number.
        """
        seeds = range(len(prompts)) if seeds is None else seeds
        if len(seeds) != len(prompts):
            raise ConfigError(
                f"got {len(seeds)} seeds; expected {len(prompts)}, one for each prompt"
            )
        if not prompts:
            return []
        sampling = SamplingConfig(
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            guidance_scale=guidance_scale,
            beat_scale=beat_scale,
        )
        return self._generate(
            prompts,
            seeds,
            duration_seconds,
            sampling,
            candidates,
            bpm,
            continue_from,
            loudness_lufs,
            on_progress,
            None,
        )

    def edit(
        self,
        source: TokenGrid | AudioSource,
        region: Region | Sequence[Region],
        prompt: str = "",
        seed: int = 0,
        *,
        temperature: float = 1.0,
        top_k: int = 250,
        top_p: float = 1.0,
        guidance_scale: float = 6.0,
        on_progress: Progress | None = None,
    ) -> Clip:
        """Write only a part of a piece anew, hearing what is around it, and keep all other tokens.

        Tokens outside the region stay as they are, to the bit. The sound is decoded from tokens, so
        outside the region it is what `Tokenizer.decode` makes of the source, apart from the
        neighbourhood of the region that decoder and vocoder see (about 1.6 s on either side). The
        level is kept: there is no loudness target as in `generate`.

        Args:
            source: token grid, token file (.btk), audio file or Audio.
            region: what to write anew; several are written together. A token that a region touches
                is written anew. Of stereo, the mono rows are; how the channels relate is kept.
            prompt, seed, temperature, top_k, top_p, guidance_scale: as in `generate`.
            on_progress: called with (frames done, frames in all).

        Raises:
            GridError: if a region lies outside the piece, or is one in Hz of a model whose tokens
            are no bands. ConfigError: if a setting is out of range. ModelMismatch: if the tokens
            were made by another tokenizer. AudioError, TokenFileError: if the source cannot be
            read.
        """
        sampling = SamplingConfig(
            temperature=temperature, top_k=top_k, top_p=top_p, guidance_scale=guidance_scale
        )
        grid = self._as_grid(source)
        regions = [region] if isinstance(region, Region) else list(region)
        self._check_regions(regions)
        centres = mel_bin_centres_hz(self.tokenizer.config.mel)
        keep = torch.ones(grid.num_bands, grid.num_frames, dtype=torch.bool)
        for part in regions:
            keep &= ~torch.from_numpy(part.cells(grid, centres))
        codes = torch.from_numpy(grid.codes).long()
        codes[: grid.num_bands] = complete_codes(
            self._weights,
            self._text([prompt]),
            codes[: grid.num_bands],
            keep,
            sampling=sampling,
            seed=seed,
            on_frame=_frames_done(on_progress, None),
        )
        edited = replace(grid, codes=codes.numpy())
        return Clip(audio=self.tokenizer.decode(edited), grid=edited)

    def check_bpm(self, bpm: float | None) -> None:
        """Say whether a tempo can be played, before anything is made.

        Raises:
            ConfigError: if it is out of range, or the network has learned no beat clock.
        """
        check_bpm(self.network, bpm)

    def hears_all_of(self, prompt: str) -> bool:
        """Return whether the text encoder takes the whole prompt, not only its beginning."""
        return self.text_encoder.fits(_clean(prompt))

    def _generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        duration_seconds: float,
        sampling: SamplingConfig,
        candidates: int,
        bpm: float | None,
        continue_from: TokenGrid | None,
        loudness_lufs: float | None,
        on_progress: Progress | None,
        on_column: Callable[[Tensor], None] | None,
    ) -> list[Clip]:
        if loudness_lufs is not None:
            check_target(loudness_lufs)
        if not 0 < duration_seconds <= MAX_DURATION_SECONDS:
            raise ConfigError(
                f"got a duration of {duration_seconds} s; "
                f"expected more than 0 and at most {MAX_DURATION_SECONDS:.0f} s"
            )
        new_samples = max(round(duration_seconds * self.tokenizer.sample_rate), 1)
        size = self.tokenizer.samples_per_frame
        start = self._start_codes(continue_from)
        codes = generate_batch(
            self._weights,
            self._text(prompts),
            ceil(new_samples / size),
            prompt_codes=start,
            sampling=sampling,
            seeds=seeds,
            candidates=candidates,
            listener=self.listener,
            bpm=bpm,
            on_frame=_frames_done(on_progress, on_column),
        )
        known_samples = 0 if start is None else start.shape[1] * size
        grids = [self.tokenizer._grid(clip, known_samples + new_samples) for clip in codes]
        return [Clip(audio=self._decoded(grid, loudness_lufs), grid=grid) for grid in grids]

    def _decoded(self, grid: TokenGrid, loudness_lufs: float | None) -> Audio:
        audio = self.tokenizer.decode(grid)
        return audio if loudness_lufs is None else normalize_loudness(audio, loudness_lufs)

    def _text(self, prompts: Sequence[str]) -> TextStates | None:
        texts = [_clean(prompt) for prompt in prompts]
        return self.text_encoder.encode(texts) if any(texts) else None

    def _start_codes(self, grid: TokenGrid | None) -> Tensor | None:
        if grid is None:
            return None
        self.tokenizer.check_grid(grid)
        return torch.from_numpy(grid.mono().codes).long()

    def _check_regions(self, regions: Sequence[Region]) -> None:
        if self.tokenizer.config.rows_are_bands:
            return
        if any(region.hertz != (0.0, None) for region in regions):
            raise GridError(
                f"got a region in Hz; the tokens of model {self.tokenizer.model_id!r} are no "
                "bands, expected seconds alone"
            )

    def _as_grid(self, source: TokenGrid | AudioSource) -> TokenGrid:
        grid = source
        if isinstance(source, str | os.PathLike):
            tokens = Path(source).suffix.lower() == TOKEN_FILE_SUFFIX
            grid = TokenGrid.load(source) if tokens else self.tokenizer.encode(source)
        elif isinstance(source, Audio):
            grid = self.tokenizer.encode(source)
        assert isinstance(grid, TokenGrid)
        self.tokenizer.check_grid(grid)
        return grid


def _clean(prompt: str) -> str:
    """Return a prompt that can be encoded: no half surrogates, no white space around it."""
    return prompt.encode("utf-8", "replace").decode("utf-8").strip()


def _frames_done(
    on_progress: Progress | None, on_column: Callable[[Tensor], None] | None
) -> FrameCallback:
    def on_frame(done: int, total: int, column: Tensor) -> None:
        if on_progress:
            on_progress(done, total)
        if on_column:
            on_column(column[0])

    return on_frame


def model_id(name: str | os.PathLike[str] | None) -> str:
    """Return what token files call a model: a folder's own name, or the name it was loaded by."""
    if name is None:
        return "bandtok-default"
    return Path(name).resolve().name if Path(name).exists() else os.fspath(name)


def choose_device(device: str) -> str:
    """Return the torch device for "auto" (CUDA where there is one, else the CPU), or check a name.

    Raises:
        ConfigError: if the name is unknown or there is no such device here.
    """
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if device == "auto":
        return "cuda" if available["cuda"] else "cpu"
    if not available.get(device, False):
        usable = ", ".join(["auto", *(name for name, there in available.items() if there)])
        raise ConfigError(f"got device {device!r}; expected one of {usable} on this machine")
    return device


class _SampleCounter:
    """Counts the samples of a stream that passes through."""

    def __init__(self) -> None:
        self.samples = 0

    def counted(self, blocks: Iterable[np.ndarray]) -> Iterator[Tensor]:
        for block in blocks:
            self.samples += block.shape[1]
            yield torch.from_numpy(np.ascontiguousarray(block))


def _expected_seconds(source: AudioSource) -> float:
    return source.seconds if isinstance(source, Audio) else probe_audio(source).seconds


def _load_vocoder(
    name: str | os.PathLike[str] | None,
    vocoder: str | os.PathLike[str] | ExternalVocoder | None,
    device: str,
) -> MelVocoder:
    if isinstance(vocoder, ExternalVocoder):
        return vocoder.to(device).eval()
    if vocoder is None and name is not None:
        vocoder = name if holds_network(VOCODER_KIND.name, name) else None
    network: MelVocoder = load_network(VOCODER_KIND, vocoder, device)
    return network


def _load_listener(
    name: str | os.PathLike[str] | None, network: MusicLM, device: str
) -> Listener | None:
    """Return the listener of a model folder, or the bundled one; None if it knows other codes."""
    own = name is not None and holds_network(LISTENER_KIND.name, name)
    listener: Listener = load_network(LISTENER_KIND, name if own else None, device)
    theirs, wanted = listener.config, network.config
    fits = (theirs.tokenizer_fingerprint, theirs.text_encoder, theirs.text_dim) == (
        wanted.tokenizer_fingerprint,
        wanted.text_encoder,
        wanted.text_dim,
    )
    if own and not fits:
        raise CheckpointError(
            f"the listener in {os.fspath(name or '')!r} was trained on other codes, or with "
            "another text encoder, than the music model beside it"
        )
    return listener if fits else None
