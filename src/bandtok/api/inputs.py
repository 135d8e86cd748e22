"""What users pass to the public functions, checked and converted: one line says what is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bandtok.api.clip import Clip
from bandtok.errors import AudioError, ConfigError, GridError
from bandtok.signal.audio import Audio, AudioReader, as_array
from bandtok.tokens.grid import TokenGrid
from bandtok.tokens.region import Region
from bandtok.tokens.token_file import TOKEN_FILE_SUFFIX

if TYPE_CHECKING:
    from bandtok.api.tokenizer import Tokenizer

ArrayOrTensor = TypeVar("ArrayOrTensor")
MusicSource = TokenGrid | Clip | Audio | str | os.PathLike[str]
"""A piece: tokens, a clip, a waveform, or the path of a token file (.btk) or an audio file."""
RegionLike = Region | str
"""A region, or its text form as for `Region.parse`, such as "1-2s,2000-4000"."""


def as_grid(tokenizer: Tokenizer, source: MusicSource) -> TokenGrid:
    """Return the tokens of a piece, encoded if it is audio, and checked against the tokenizer.

    Raises:
        GridError: if it is none of these. ModelMismatch: if another tokenizer made the tokens.
        AudioError, TokenFileError: if it cannot be read.
    """
    grid = source
    if isinstance(source, Clip):
        grid = source.grid
    elif isinstance(source, Audio):
        grid = tokenizer.encode(source)
    elif isinstance(source, str | os.PathLike):
        is_tokens = Path(source).suffix.lower() == TOKEN_FILE_SUFFIX
        grid = TokenGrid.load(source) if is_tokens else tokenizer.encode(source)
    if not isinstance(grid, TokenGrid):
        raise GridError(
            f"got {kind_of(source)}; expected a TokenGrid, Clip, Audio, or the path of a .btk or "
            "audio file; wrap an array as Audio(array, sample_rate)"
        )
    tokenizer.check_grid(grid)
    return grid


def as_tokens(source: object) -> TokenGrid:
    """Return a grid to decode, loaded if it is the path of a token file.

    Raises:
        GridError: if it is neither. TokenFileError: if the file cannot be read.
    """
    if isinstance(source, TokenGrid):
        return source
    if isinstance(source, Clip):
        return source.grid
    if isinstance(source, str | os.PathLike):
        return TokenGrid.load(source)
    is_array = hasattr(source, "shape") or isinstance(source, Sequence)
    hint = "; decode an array of codes [batch, bands, frames] with decode_codes" if is_array else ""
    raise GridError(f"got {kind_of(source)}; expected a TokenGrid or the path of a .btk file{hint}")


def as_audio(
    source: object, sample_rate: int | None
) -> Audio | AudioReader | str | os.PathLike[str]:
    """Return audio to encode; an array or tensor with its rate becomes an Audio.

    Raises:
        AudioError: if it is of another type, or an array without a rate, or a rate was given for
            audio that has its own.
    """
    if isinstance(source, Audio | AudioReader | str | os.PathLike):
        if sample_rate is not None:
            raise AudioError(
                f"got sample_rate {sample_rate!r:.60} with {kind_of(source)}, which has its own; "
                "expected sample_rate for arrays only"
            )
        return source
    if not hasattr(source, "shape"):
        raise AudioError(
            f"got {kind_of(source)}; expected the path of an audio file, an Audio, or an array "
            "with sample_rate"
        )
    if sample_rate is None:
        raise AudioError(
            f"got {kind_of(source)} without sample_rate; expected encode(array, sample_rate=Hz)"
        )
    return Audio(source, sample_rate)  # type: ignore[arg-type]


def numeric_array(values: object) -> np.ndarray:
    """Return an array or tensor as an int64 or float32 array.

    Raises:
        GridError: if it is neither, or does not hold numbers.
    """
    array = as_array(values) if hasattr(values, "shape") else None
    if array is None or array.dtype.kind not in "fiu":
        raise GridError(f"got {kind_of(values)}; expected a tensor or an array of numbers")
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def like(values: ArrayOrTensor, result: np.ndarray) -> ArrayOrTensor:
    """Return a result as a tensor on the CPU if `values` is a tensor, else as it is."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        returned: ArrayOrTensor = torch.from_numpy(np.ascontiguousarray(result))
        return returned
    return result  # type: ignore[return-value]


def as_regions(region: RegionLike | Sequence[RegionLike]) -> list[Region]:
    """Return one or several regions as a list.

    Raises:
        GridError: if one is neither a Region nor its text form.
    """
    several = isinstance(region, Sequence) and not isinstance(region, str)
    found = []
    for part in region if several else [region]:  # type: ignore[union-attr]
        if not isinstance(part, Region | str):
            raise GridError(
                f"got a region that is {kind_of(part)}; expected a Region, its text form such as "
                "'1-2s,2000-4000', or a list of them"
            )
        found.append(Region.parse(part) if isinstance(part, str) else part)
    return found


def as_prompt(prompt: object) -> str:
    """Return a prompt that can be encoded: no half surrogates, no white space around it.

    Raises:
        ConfigError: if it is not a string.
    """
    if not isinstance(prompt, str):
        hint = "; use generate_batch for several prompts" if isinstance(prompt, Sequence) else ""
        raise ConfigError(f"got a prompt that is {kind_of(prompt)}; expected a string{hint}")
    return prompt.encode("utf-8", "replace").decode("utf-8").strip()


def as_prompts(prompts: object) -> list[str]:
    """Return the prompts of a batch.

    Raises:
        ConfigError: if they are not a sequence of strings.
    """
    if isinstance(prompts, str) or not isinstance(prompts, Sequence):
        raise ConfigError(
            f"got prompts that are {kind_of(prompts)}; expected a list of strings; use generate "
            "for one prompt"
        )
    return [as_prompt(prompt) for prompt in prompts]


def as_seeds(seeds: Sequence[int]) -> list[int]:
    """Return seeds, each an integer from 0 up to 2^63 - 1.

    Raises:
        ConfigError: if one is not.
    """
    for seed in seeds:
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed < 1 << 63:
            raise ConfigError(f"got seed {seed!r:.60}; expected an integer of 0 or more")
    return [int(seed) for seed in seeds]


def kind_of(value: object) -> str:
    """Name the type of a value, and the shape if it is an array."""
    shape = getattr(value, "shape", None)
    name = "None" if value is None else f"of type {type(value).__name__}"
    return f"{name} and shape {tuple(shape)}" if isinstance(shape, tuple) else name
