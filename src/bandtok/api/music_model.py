"""Prompts to music, and edits of music: the public music model.

prompt, or a piece with a gap -> TokenGrid -> audio
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from bandtok.api.tokenizer import AudioSource, Progress, Tokenizer
from bandtok.checkpoint import holds_network, load_network
from bandtok.device import choose_device
from bandtok.errors import CheckpointError, ConfigError, GridError
from bandtok.lm.decoding import StepWeights
from bandtok.lm.generate import FrameCallback, check_bpm, generate_batch, inpaint_codes
from bandtok.lm.model import MusicLM
from bandtok.lm.reranker import Reranker
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import TextEmbeddings, TextEncoder
from bandtok.lm.text_encoder import load_text_encoder
from bandtok.model_specs import LM_SPEC, RERANKER_SPEC, TOKENIZER_SPEC
from bandtok.signal.audio import Audio
from bandtok.signal.loudness import TARGET_LUFS, check_target, normalize_loudness
from bandtok.signal.mel import mel_bin_centers_hz
from bandtok.tokens.grid import TokenGrid
from bandtok.tokens.region import Region
from bandtok.tokens.token_file import TOKEN_FILE_SUFFIX

Item = TypeVar("Item")

MAX_DURATION_SECONDS = 3600.0


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
        reranker: Reranker | None = None,
    ) -> None:
        wanted = network.config.tokenizer_fingerprint
        if wanted and wanted != tokenizer.fingerprint:
            raise CheckpointError(
                f"the music model was trained on codes of tokenizer {wanted[:12]}, not on those of "
                f"{tokenizer.model_id!r} ({tokenizer.fingerprint[:12]})"
            )
        self.network, self.text_encoder, self.tokenizer = network, text_encoder, tokenizer
        self.reranker = reranker
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
                `reranker/`, or the bundled one where it knows the same codes and text encoder.
            tokenizer: another tokenizer, by name; the default is the bundled one, or the one in
                `name` if that folder holds `tokenizer/`.
            device: "auto", "cpu", "cuda" or "mps".

        Raises:
            CheckpointError: if a model cannot be found, is damaged or does not fit the tokenizer.
        """
        device = choose_device(device)
        network = load_network(LM_SPEC, name, device)
        if tokenizer is None and name is not None:
            tokenizer = name if holds_network(TOKENIZER_SPEC.name, name) else None
        encoder = load_text_encoder(network.config.text_encoder)
        reranker = _load_reranker(name, network, device)
        return cls(network, encoder, Tokenizer.from_pretrained(tokenizer, device=device), reranker)

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
        beat_guidance_scale: float = 4.0,
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
            temperature, top_k, top_p, guidance_scale, beat_guidance_scale: see SamplingConfig.
            candidates: openings (3 s of the bundled model) to choose among; the one that goes best
                with the prompt, as the listener hears it, is played on. Without a prompt there is
                nothing to choose by. 1 takes what comes.
            bpm: tempo in beats a minute, the first beat at the beginning of what is new; 0 gives no
                beat. None draws one as the prompt suggests, of models that have learned a beat
                clock. In what follows on `continue_from`, None goes by what is heard there.
            continue_from: begin with this grid and play on from it.
            loudness_lufs: integrated loudness of the clip, -60 to 0 LUFS, with true peaks limited
                to -1 dBFS (`bandtok.signal.loudness.normalize_loudness`); one gain for the whole
                clip,
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
            beat_guidance_scale=beat_guidance_scale,
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
        beat_guidance_scale: float = 4.0,
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
            duration_seconds, temperature, top_k, top_p, guidance_scale, beat_guidance_scale,
            candidates,
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
            beat_guidance_scale=beat_guidance_scale,
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
        centers = mel_bin_centers_hz(self.tokenizer.config.mel)
        keep = torch.ones(grid.num_bands, grid.num_frames, dtype=torch.bool)
        for part in regions:
            keep &= ~torch.from_numpy(part.cells(grid, centers))
        codes = torch.from_numpy(grid.codes).long()
        codes[: grid.num_bands] = inpaint_codes(
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
            reranker=self.reranker,
            bpm=bpm,
            on_frame=_frames_done(on_progress, on_column),
        )
        known_samples = 0 if start is None else start.shape[1] * size
        grids = [self.tokenizer._grid(clip, known_samples + new_samples) for clip in codes]
        return [Clip(audio=self._decoded(grid, loudness_lufs), grid=grid) for grid in grids]

    def _decoded(self, grid: TokenGrid, loudness_lufs: float | None) -> Audio:
        audio = self.tokenizer.decode(grid)
        return audio if loudness_lufs is None else normalize_loudness(audio, loudness_lufs)

    def _text(self, prompts: Sequence[str]) -> TextEmbeddings | None:
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


def _load_reranker(
    name: str | os.PathLike[str] | None, network: MusicLM, device: str
) -> Reranker | None:
    """Return the listener of a model folder, or the bundled one; None if it knows other codes."""
    own = name is not None and holds_network(RERANKER_SPEC.name, name)
    reranker: Reranker = load_network(RERANKER_SPEC, name if own else None, device)
    theirs, wanted = reranker.config, network.config
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
    return reranker if fits else None
