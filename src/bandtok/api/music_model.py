"""Prompts to music, and edits of music: the public music model.

prompt, or a piece with a gap -> TokenGrid -> audio
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from numbers import Real
from typing import Unpack

import numpy as np

from bandtok.api.clip import Clip, marked
from bandtok.api.generation_config import (
    DEFAULT_DURATION_SECONDS,
    DEFAULT_SEED,
    EDIT_FIELDS,
    EditOverrides,
    GenerationConfig,
    GenerationOverrides,
    with_overrides,
)
from bandtok.api.inputs import (
    MusicSource,
    RegionLike,
    as_grid,
    as_prompt,
    as_prompts,
    as_regions,
    as_seeds,
)
from bandtok.api.tokenizer import Progress, Tokenizer
from bandtok.backends import (
    Runtime,
    choose_runtime,
    load_language_model,
    load_reranker,
    load_text_encoder,
)
from bandtok.checkpoint import holds_network
from bandtok.errors import CheckpointError, ConfigError, GridError
from bandtok.lm.generate import CodeRequest, check_bpm, stream_codes
from bandtok.lm.inpainting import InpaintRequest, stream_inpainted
from bandtok.lm.networks import LanguageModel, RerankerNetwork
from bandtok.lm.text_embeddings import TextEmbeddings, TextEncoder
from bandtok.model_specs import RERANKER_SPEC, TOKENIZER_SPEC
from bandtok.signal.audio import Audio
from bandtok.signal.loudness import normalize_loudness
from bandtok.signal.mel import mel_bin_centers_hz
from bandtok.tokens.grid import TokenGrid
from bandtok.tokens.region import Region

MAX_DURATION_SECONDS = 3600.0
_DEFAULTS = GenerationConfig()


class MusicModel:
    """Prompts to music; made by :meth:`from_pretrained`.

    Args:
        network: the language model.
        text_encoder: for prompts.
        tokenizer: turns codes into audio.
        reranker: selects among candidates; None leaves that to the language model.

    Raises:
        CheckpointError: if network and tokenizer do not belong together.
    """

    def __init__(
        self,
        network: LanguageModel,
        text_encoder: TextEncoder,
        tokenizer: Tokenizer,
        reranker: RerankerNetwork | None = None,
    ) -> None:
        wanted = network.config.tokenizer_fingerprint
        if wanted and wanted != tokenizer.fingerprint:
            raise CheckpointError(
                f"the music model was trained on codes of tokenizer {wanted[:12]}, not on those of "
                f"{tokenizer.model_id!r} ({tokenizer.fingerprint[:12]})"
            )
        self.network, self.text_encoder, self.tokenizer = network, text_encoder, tokenizer
        self.reranker = reranker

    def __repr__(self) -> str:
        millions = self.network.num_parameters / 1e6
        return f"MusicModel({millions:.1f} M parameters, {self.tokenizer!r})"

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        tokenizer: str | os.PathLike[str] | None = None,
        device: str = "auto",
        backend: str = "auto",
        threads: int | None = None,
    ) -> MusicModel:
        """Load a music language model with its tokenizer, vocoder, text encoder and reranker.

        Args:
            name: None for the bundled weights, "debug" for a tiny random model, a model or run
                folder, or a hub id. The reranker is the one in `name` if that folder holds
                `reranker/`, or the bundled one where it knows the same codes and text encoder.
            tokenizer: another tokenizer, by name; the default is the bundled one, or the one in
                `name` if that folder holds `tokenizer/`.
            device, backend, threads: as for `Tokenizer.from_pretrained`.

        Raises:
            CheckpointError: if a model cannot be found, is damaged or does not fit the tokenizer.
            ConfigError: if there is no such device or back end.
            MissingDependency: if torch is needed and not installed.
        """
        runtime = choose_runtime(device, backend, threads)
        network = load_language_model(name, runtime)
        if tokenizer is None and name is not None:
            tokenizer = name if holds_network(TOKENIZER_SPEC.name, name) else None
        return cls(
            network,
            load_text_encoder(network.config.text_encoder, runtime),
            Tokenizer.from_pretrained(tokenizer, device=device, backend=backend, threads=threads),
            _load_reranker(name, network, runtime),
        )

    def generate(
        self,
        prompt: str = "",
        duration_seconds: float = DEFAULT_DURATION_SECONDS,
        seed: int = DEFAULT_SEED,
        config: GenerationConfig = _DEFAULTS,
        *,
        continue_from: MusicSource | None = None,
        on_progress: Progress | None = None,
        on_column: Callable[[np.ndarray], None] | None = None,
        **overrides: Unpack[GenerationOverrides],
    ) -> Clip:
        """Generate music from a prompt.

        Args:
            prompt: describes the music; empty means unconditional. Only the beginning counts of a
                prompt that is longer than the text encoder's context (`fits_prompt`).
            duration_seconds: length of the new music, above 0 and up to an hour.
            seed: 0 or more; same seed, machine, version and back end: same tokens.
            config: how to sample, number of candidates, tempo and loudness.
            continue_from: existing music that the clip begins with: tokens, a clip, audio, or the
                path of a token file (.btk) or audio file. Of stereo tokens, the mono rows. Of
                music that was encoded, a last frame that is not full and the one before it are
                left out: their tokens say that the music ends.
            on_progress: called with (frames done, total frames).
            on_column: called with the codes of each frame, int64 [bands], as soon as they are
                final; those of `continue_from` come first.
            **overrides: single fields of `config`, such as `temperature=0.9`.

        Returns:
            The clip, `continue_from` included; one gain is applied to all of it.

        Raises:
            ConfigError: if a setting is out of range or unknown. ModelMismatch: if the tokens of
            `continue_from` were made by another tokenizer. AudioError, TokenFileError: if it
            cannot be read.
        """
        request = _Request(
            texts=[as_prompt(prompt)],
            seeds=as_seeds([seed]),
            duration_seconds=duration_seconds,
            config=with_overrides(config, overrides),
            continue_from=continue_from,
        )
        return self._generate(request, on_progress, on_column)[0]

    def generate_batch(
        self,
        prompts: Sequence[str],
        duration_seconds: float = DEFAULT_DURATION_SECONDS,
        seeds: Sequence[int] | None = None,
        config: GenerationConfig = _DEFAULTS,
        *,
        continue_from: MusicSource | None = None,
        on_progress: Progress | None = None,
        **overrides: Unpack[GenerationOverrides],
    ) -> list[Clip]:
        """Generate several clips in a batch: eight take about three times as long as one.

        Args:
            prompts: one per clip.
            seeds: one per clip; 0, 1, 2, ... if not given.
            duration_seconds, config, continue_from, on_progress, overrides: as in `generate`, the
                same for all clips.

        Raises:
            ConfigError: as in `generate`, or if prompts and seeds differ in number.
        """
        texts = as_prompts(prompts)
        chosen = list(range(len(texts))) if seeds is None else as_seeds(seeds)
        if len(chosen) != len(texts):
            raise ConfigError(
                f"got {len(chosen)} seeds; expected {len(texts)}, one for each prompt"
            )
        request = _Request(
            texts=texts,
            seeds=chosen,
            duration_seconds=duration_seconds,
            config=with_overrides(config, overrides),
            continue_from=continue_from,
        )
        return self._generate(request, on_progress, None) if texts else []

    def edit(
        self,
        source: MusicSource,
        region: RegionLike | Sequence[RegionLike],
        prompt: str = "",
        seed: int = DEFAULT_SEED,
        config: GenerationConfig = _DEFAULTS,
        *,
        on_progress: Progress | None = None,
        **overrides: Unpack[EditOverrides],
    ) -> Clip:
        """Regenerate a part of a piece, conditioned on the rest, and keep all other tokens.

        Tokens outside the region are unchanged. The audio is decoded from tokens, so outside the
        region it is what `Tokenizer.decode` makes of the source, apart from the neighborhood of
        the region within the context of decoder and vocoder (about 1.6 s on either side).

        Args:
            source: tokens, a clip, audio, or the path of a token file (.btk) or audio file.
            region: what to regenerate: a Region, its text form such as "1-2s,2000-4000", or a list
                of them, regenerated together. Every token that a region touches is regenerated. Of
                stereo tokens, the mono rows are; the pan rows are kept.
            prompt, seed: as in `generate`.
            config: only temperature, top_k, top_p and guidance_scale are used. An edit has no beat
                grid and no candidates, and it keeps the level of the piece.
            on_progress: called with (frames done, total frames).
            **overrides: those four fields of `config`; others are refused.

        Raises:
            GridError: if a region lies outside the piece, or is in Hz for a model whose tokens are
            not bands. ConfigError: if a setting is out of range or unknown. ModelMismatch: if the
            tokens were made by another tokenizer. AudioError, TokenFileError: if the source
            cannot be read.
        """
        sampling = with_overrides(config, overrides, EDIT_FIELDS).sampling
        text, (seed,), regions = as_prompt(prompt), as_seeds([seed]), as_regions(region)
        grid = as_grid(self.tokenizer, source)
        self._check_regions(regions)
        centers = mel_bin_centers_hz(self.tokenizer.config.mel)
        keep = np.ones((grid.num_bands, grid.num_frames), np.bool_)
        for part in regions:
            keep &= ~part.cells(grid, centers)
        codes = grid.codes.astype(np.int64)
        request = InpaintRequest(
            codes=codes[: grid.num_bands],
            keep=keep,
            text=self._text([text]),
            sampling=sampling,
            seed=seed,
        )
        for index, column in enumerate(stream_inpainted(self.network, request, self.reranker)):
            codes[: grid.num_bands, index] = column
            if on_progress:
                on_progress(index + 1, grid.num_frames)
        settings = {**asdict(sampling), "regions": [_as_json(part) for part in regions]}
        edited = replace(grid, codes=codes)
        edited = marked(edited, "edit", text, seed, settings, grid)
        return Clip(audio=self.tokenizer.decode(edited), grid=edited)

    def check_bpm(self, bpm: float | None) -> None:
        """Raise ConfigError if a tempo is out of range, or the network has learned no beat."""
        check_bpm(self.network.config, bpm)

    def fits_prompt(self, prompt: str) -> bool:
        """Return whether the text encoder takes the whole prompt, not only its beginning."""
        return self.text_encoder.fits(as_prompt(prompt))

    def _generate(
        self,
        request: _Request,
        on_progress: Progress | None,
        on_column: Callable[[np.ndarray], None] | None,
    ) -> list[Clip]:
        config, size = request.config, self.tokenizer.samples_per_frame
        new_samples = max(round(request.duration_seconds * self.tokenizer.sample_rate), 1)
        known, known_samples = self._start(request.continue_from)
        known_frames = 0 if known is None else known.num_frames
        num_samples = known_samples + new_samples
        codes = CodeRequest(
            num_frames=ceil(num_samples / size) - known_frames,
            text=self._text(request.texts),
            seeds=request.seeds,
            prompt_codes=None if known is None else known.codes,
            sampling=config.sampling,
            num_candidates=config.num_candidates,
            bpm=config.bpm,
        )
        columns = []
        for column in stream_codes(self.network, codes, self.reranker):
            columns.append(column)
            if on_progress:
                on_progress(len(columns), known_frames + codes.num_frames)
            if on_column:
                on_column(column[0])
        grids = [
            marked(
                replace(self.tokenizer._grid(clip, num_samples), extra={}),
                "generate" if known is None else "continue",
                text,
                seed,
                {**asdict(config), "duration_seconds": request.duration_seconds},
                known,
            )
            for clip, text, seed in zip(
                np.stack(columns, axis=2), request.texts, request.seeds, strict=True
            )
        ]
        return [Clip(audio=self._decoded(grid, config.loudness_lufs), grid=grid) for grid in grids]

    def _decoded(self, grid: TokenGrid, loudness_lufs: float | None) -> Audio:
        audio = self.tokenizer.decode(grid)
        return audio if loudness_lufs is None else normalize_loudness(audio, loudness_lufs)

    def _text(self, texts: Sequence[str]) -> TextEmbeddings | None:
        return self.text_encoder.encode(list(texts)) if any(texts) else None

    def _start(self, source: MusicSource | None) -> tuple[TokenGrid | None, int]:
        """Return the frames to continue from, and after how many samples the new music begins."""
        if source is None:
            return None, 0
        known = as_grid(self.tokenizer, source).mono()
        num_samples = known.num_frames * known.samples_per_frame
        if "encode_mode" in known.extra:  # generated frames are music to the end
            whole = known.whole_frames()
            cut = 1 < whole.num_frames < known.num_frames
            num_samples = known.num_samples or num_samples
            known = known.part(0, whole.num_frames - cut)
        if not known.num_frames:
            raise GridError(
                "got less than one frame to continue from; expected at least "
                f"{known.samples_per_frame} samples at {known.sample_rate} Hz"
            )
        return known, num_samples

    def _check_regions(self, regions: Sequence[Region]) -> None:
        if self.tokenizer.config.rows_are_bands:
            return
        if any(region.hertz != (0.0, None) for region in regions):
            raise GridError(
                f"got a region in Hz; the tokens of model {self.tokenizer.model_id!r} are no "
                "bands, expected seconds alone"
            )


@dataclass(frozen=True, kw_only=True)
class _Request:
    """Checked arguments of one call: a text and a seed per clip, the rest for all of them."""

    texts: Sequence[str]
    seeds: Sequence[int]
    duration_seconds: float
    config: GenerationConfig
    continue_from: MusicSource | None

    def __post_init__(self) -> None:
        seconds = self.duration_seconds
        number = isinstance(seconds, Real) and not isinstance(seconds, bool)
        if not number or not 0 < seconds <= MAX_DURATION_SECONDS:
            raise ConfigError(
                f"got a duration of {seconds} s; "
                f"expected more than 0 and at most {MAX_DURATION_SECONDS:.0f} s"
            )


def _as_json(region: Region) -> dict[str, object]:
    return {"seconds": list(region.seconds), "hertz": list(region.hertz)}


def _load_reranker(
    name: str | os.PathLike[str] | None, network: LanguageModel, runtime: Runtime
) -> RerankerNetwork | None:
    """Return the reranker of a model folder, or the bundled one; None if it knows other codes."""
    own = name is not None and holds_network(RERANKER_SPEC.name, name)
    reranker = load_reranker(name if own else None, runtime)
    theirs, wanted = reranker.config, network.config
    fits = (theirs.tokenizer_fingerprint, theirs.text_encoder, theirs.text_dim) == (
        wanted.tokenizer_fingerprint,
        wanted.text_encoder,
        wanted.text_dim,
    )
    if own and not fits:
        raise CheckpointError(
            f"the reranker in {os.fspath(name or '')!r} was trained on other codes, or with "
            "another text encoder, than the language model"
        )
    return reranker if fits else None
