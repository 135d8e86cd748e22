"""Prompts to music, and edits of music: the public music model.

prompt, or a piece with a gap -> TokenGrid -> audio
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np

from bandtok.api.clip import Clip, marked
from bandtok.api.generate_clips import GenerationRequest, embed_prompts, generate_clips
from bandtok.api.generation_config import (
    DEFAULT_DURATION_SECONDS,
    DEFAULT_SEED,
    EDIT_FIELDS,
    EditOverrides,
    GenerationConfig,
    GenerationOverrides,
    with_overrides,
)
from bandtok.api.harmony import harmony_target
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
    load_harmony,
    load_language_model,
    load_reranker,
    load_text_encoder,
)
from bandtok.checkpoint import local_model, model_id, own_or_bundled
from bandtok.errors import CheckpointError, ConfigError, GridError
from bandtok.hub import HubModel
from bandtok.lm.beat import BeatGrid
from bandtok.lm.generate import check_bpm
from bandtok.lm.harmony import HarmonyClassifier
from bandtok.lm.inpainting import InpaintRequest, stream_inpainted
from bandtok.lm.networks import LanguageModel, RerankerNetwork
from bandtok.lm.text_embeddings import TextEncoder
from bandtok.model_specs import (
    HARMONY_SPEC,
    LM_SPEC,
    RERANKER_SPEC,
    SPECS,
    TOKENIZER_SPEC,
)
from bandtok.signal.mel import mel_bin_centers_hz
from bandtok.tokens.grid import TokenGrid
from bandtok.tokens.region import Region

_DEFAULTS = GenerationConfig()


class MusicModel(HubModel):
    """Prompts to music; made by :meth:`from_pretrained`.

    Args:
        network: the language model.
        text_encoder: for prompts.
        tokenizer: turns codes into audio.
        reranker: selects among candidates; None leaves that to the language model.
        harmony: knows what codes say about chords and keys; None follows neither.

    Raises:
        CheckpointError: if network and tokenizer do not belong together.
    """

    def __init__(
        self,
        network: LanguageModel,
        text_encoder: TextEncoder,
        tokenizer: Tokenizer,
        reranker: RerankerNetwork | None = None,
        harmony: HarmonyClassifier | None = None,
    ) -> None:
        wanted = network.config.tokenizer_fingerprint
        if wanted and wanted != tokenizer.fingerprint:
            raise CheckpointError(
                f"the music model was trained on codes of tokenizer {wanted[:12]}, not on those of "
                f"{tokenizer.model_id!r} ({tokenizer.fingerprint[:12]})"
            )
        self.network, self.text_encoder, self.tokenizer = network, text_encoder, tokenizer
        self.reranker, self.harmony = reranker, harmony

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
                `reranker/`, or the bundled one where it knows the same codes and text encoder; so
                is the harmony classifier.
            tokenizer: another tokenizer, by name; the default is the bundled one, or the one in
                `name` if that folder holds `tokenizer/`.
            device, backend, threads: as for `Tokenizer.from_pretrained`.

        Raises:
            CheckpointError: if a model cannot be found, is damaged or does not fit the tokenizer.
            ConfigError: if there is no such device or back end.
            MissingDependency: if torch is needed and not installed.
        """
        runtime = choose_runtime(device, backend, threads)
        source = local_model(name, [spec.name for spec in SPECS])
        network = load_language_model(source, runtime)
        codec = Tokenizer.from_pretrained(
            own_or_bundled(TOKENIZER_SPEC.name, source) if tokenizer is None else tokenizer,
            device=device,
            backend=backend,
            threads=threads,
        )
        if source is not name and codec.parts[TOKENIZER_SPEC.name] == source:
            codec.model_id = model_id(name)  # the hub id, not the folder in the cache
        encoder = load_text_encoder(network.config.text_encoder, runtime)
        reranker = _load_reranker(source, network, runtime)
        model = cls(network, encoder, codec, reranker, _load_harmony(source, network))
        parts = {**codec.parts, LM_SPEC.name: source}
        for spec, part in ((RERANKER_SPEC, model.reranker), (HARMONY_SPEC, model.harmony)):
            if part is not None:
                parts[spec.name] = own_or_bundled(spec.name, source)
        model.parts = parts
        return model

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
            prompt: describes the music, in English; empty means unconditional. Only the beginning
                counts of a prompt that is longer than the text encoder's context.
            duration_seconds: length of the new music, above 0 and up to an hour; see `config` for
                lengths in bars.
            seed: 0 or more; same seed, machine, version and back end: same tokens.
            config: how to sample, number of candidates, tempo, bars, ending and loudness.
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
            ConfigError: if a setting is out of range or unknown, or a loop is to continue music or
            to be streamed. ModelMismatch: if the tokens of `continue_from` were made by another
            tokenizer. AudioError, TokenFileError: if it cannot be read.

        Warns:
            PromptWarning: if the prompt is too long, or in a language that is not understood.
        """
        request = GenerationRequest(
            texts=[as_prompt(prompt)],
            seeds=as_seeds([seed]),
            duration_seconds=duration_seconds,
            config=with_overrides(config, overrides),
            continue_from=continue_from,
        )
        return generate_clips(self, request, on_progress, on_column)[0]

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
        request = GenerationRequest(
            texts=texts,
            seeds=chosen,
            duration_seconds=duration_seconds,
            config=with_overrides(config, overrides),
            continue_from=continue_from,
        )
        return generate_clips(self, request, on_progress) if texts else []

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
            config: as in `generate`; only the fields of `EditOverrides` are used. A tempo counts
                from the beginning of the piece; None is no beat grid. An edit keeps the level of
                the piece.
            on_progress: called with (frames done, total frames).
            **overrides: those fields of `config`; others are refused.

        Raises:
            GridError: if a region lies outside the piece, or is in Hz for a model whose tokens are
            not bands. ConfigError: if a setting is out of range or unknown. ModelMismatch: if the
            tokens were made by another tokenizer. AudioError, TokenFileError: if the source
            cannot be read.
        """
        config = with_overrides(config, overrides, EDIT_FIELDS)
        self.check_bpm(config.bpm)
        text, (seed,), regions = as_prompt(prompt), as_seeds([seed]), as_regions(region)
        grid = as_grid(self.tokenizer, source)
        codes = grid.codes.astype(np.int64)
        request = InpaintRequest(
            codes=codes[: grid.num_bands],
            keep=self._cells_outside(grid, regions),
            text=embed_prompts(self.text_encoder, [text]),
            sampling=config.sampling,
            seed=seed,
            beat=BeatGrid.of_tempos([config.bpm or 0.0], self.tokenizer.frame_rate),
            num_candidates=config.num_candidates,
            code_levels=self.tokenizer.codec.level_source,
            level_strength=config.level_strength,
            harmony=harmony_target(self, config, text, config.bpm, grid.num_frames),
        )
        for index, column in enumerate(stream_inpainted(self.network, request, self.reranker)):
            codes[: grid.num_bands, index] = column
            if on_progress:
                on_progress(index + 1, grid.num_frames)
        settings = {name: getattr(config, name) for name in EDIT_FIELDS}
        settings["regions"] = [_as_json(part) for part in regions]
        edited = marked(replace(grid, codes=codes), "edit", text, seed, settings, grid)
        return Clip(audio=self.tokenizer.decode(edited), grid=edited)

    def check_bpm(self, bpm: float | None) -> None:
        """Raise ConfigError if a tempo is out of range, or the network has learned no beat."""
        check_bpm(self.network.config, bpm)

    def _cells_outside(self, grid: TokenGrid, regions: Sequence[Region]) -> np.ndarray:
        """Return which cells no region touches, bool [bands, frames]."""
        in_hertz = any(region.hertz != (0.0, None) for region in regions)
        if in_hertz and not self.tokenizer.config.rows_are_bands:
            raise GridError(
                f"got a region in Hz; the tokens of model {self.tokenizer.model_id!r} are no "
                "bands, expected seconds alone"
            )
        centers = mel_bin_centers_hz(self.tokenizer.config.mel)
        keep = np.ones((grid.num_bands, grid.num_frames), np.bool_)
        for region in regions:
            keep &= ~region.cells(grid, centers)
        return keep


def _as_json(region: Region) -> dict[str, object]:
    return {"seconds": list(region.seconds), "hertz": list(region.hertz)}


def _load_reranker(
    name: str | os.PathLike[str] | None, network: LanguageModel, runtime: Runtime
) -> RerankerNetwork | None:
    """Return the reranker of a model folder, or the bundled one; None if it knows other codes."""
    own = own_or_bundled(RERANKER_SPEC.name, name)
    reranker = load_reranker(own, runtime)
    theirs, wanted = reranker.config, network.config
    fits = (theirs.tokenizer_fingerprint, theirs.text_encoder, theirs.text_dim) == (
        wanted.tokenizer_fingerprint,
        wanted.text_encoder,
        wanted.text_dim,
    )
    if own is not None and not fits:
        raise CheckpointError(
            f"the reranker in {os.fspath(name or '')!r} was trained on other codes, or with "
            "another text encoder, than the language model"
        )
    return reranker if fits else None


def _load_harmony(
    name: str | os.PathLike[str] | None, network: LanguageModel
) -> HarmonyClassifier | None:
    """Return the harmony classifier of a model folder, or the bundled one; None if it knows other
    codes.
    """
    own = own_or_bundled(HARMONY_SPEC.name, name)
    harmony = load_harmony(own)
    fits = harmony.config.tokenizer_fingerprint == network.config.tokenizer_fingerprint
    if own is not None and not fits:
        raise CheckpointError(
            f"the harmony classifier in {os.fspath(name or '')!r} was trained on other codes than "
            "the language model"
        )
    return harmony if fits else None
