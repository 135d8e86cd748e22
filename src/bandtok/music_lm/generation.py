"""Writing codes with a music language model, token by token, for any length.

Text states and known codes -> codes [bands, frames]. Beyond the trained window the model sees the
last half of it again and goes on from there, so memory and time per token stay bounded. Knows
nothing of audio.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bandtok.errors import ConfigError, GridError
from bandtok.grid import flatten, unflatten
from bandtok.music_lm.model import MusicLM
from bandtok.music_lm.sampling import SamplingConfig, guide, sample_code
from bandtok.music_lm.text import TextStates

FrameCallback = Callable[[int, int, Tensor], None]
"""Called with (frames done, frames in all, int64 [bands] column) after each frame."""

UNKNOWN = -1


def generate_codes(
    model: MusicLM,
    text: TextStates | None,
    num_frames: int,
    *,
    prompt_codes: Tensor | None = None,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
    on_frame: FrameCallback | None = None,
) -> Tensor:
    """Write new frames, after a prompt of codes if there is one.

    Args:
        model: the model; it is used in eval mode and left as it was.
        text: one row of states; None, or a row without text, is unconditional.
        num_frames: frames to write, not counting the prompt.
        prompt_codes: int64 [bands, frames] to continue from.
        sampling: how codes are drawn; the default draws from the model's own distribution.
        seed: same seed, same machine, same version: same codes.
        on_frame: called after every frame, those of the prompt included.

    Returns:
        int64 [bands, prompt frames + num_frames] on the CPU.

    Raises:
        GridError: if the prompt does not fit the model, or `num_frames` is negative.
    """
    if num_frames < 0:
        raise GridError(f"got {num_frames} frames to generate; expected 0 or more")
    unknown = torch.full((model.config.num_bands, num_frames), UNKNOWN)
    if prompt_codes is None:
        template = unknown
    else:
        _check_codes(model, prompt_codes)
        template = torch.cat((prompt_codes.cpu().long(), unknown), dim=1)
    return _complete(model, text, template, sampling or SamplingConfig(), seed, on_frame)


def complete_codes(
    model: MusicLM,
    text: TextStates | None,
    codes: Tensor,
    keep: Tensor,
    *,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
    on_frame: FrameCallback | None = None,
) -> Tensor:
    """Write only some codes of a grid anew and keep every other as it is.

    The model hears what comes before a code (earlier frames, lower bands), not what comes after.

    Args:
        model, text, sampling, seed, on_frame: as in `generate_codes`.
        codes: int64 [bands, frames].
        keep: bool [bands, frames], False where a new code is wanted.

    Raises:
        GridError: if the codes do not fit the model or `keep` has another shape.
    """
    _check_codes(model, codes)
    if keep.shape != codes.shape:
        raise GridError(f"got keep {tuple(keep.shape)}; expected {tuple(codes.shape)} like codes")
    template = codes.cpu().long().masked_fill(~keep.cpu(), UNKNOWN)
    return _complete(model, text, template, sampling or SamplingConfig(), seed, on_frame)


def _check_codes(model: MusicLM, codes: Tensor) -> None:
    bands, size = model.config.num_bands, model.config.codebook_size
    if codes.ndim != 2 or codes.shape[0] != bands or codes.is_floating_point():
        raise GridError(
            f"got codes {tuple(codes.shape)} of {codes.dtype}; expected integers [{bands}, frames]"
        )
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < size:
        raise GridError(
            f"got codes from {int(codes.min())} to {int(codes.max())}; expected 0 to {size - 1}"
        )


def _complete(
    model: MusicLM,
    text: TextStates | None,
    template: Tensor,
    sampling: SamplingConfig,
    seed: int,
    on_frame: FrameCallback | None,
) -> Tensor:
    bands, num_frames = template.shape
    window = model.config.window_frames
    generator = torch.Generator().manual_seed(seed)
    tokens: list[int] = flatten(template).tolist()
    training = model.training
    model.eval()
    try:
        decoder = WindowDecoder(model, text, sampling.guidance_scale)
        start = fed = 0
        for frame in range(num_frames):
            if frame - start == window:
                start = frame - window // 2
                fed = start * bands
                decoder.restart()
            for index in range(frame * bands, (frame + 1) * bands):
                if tokens[index] == UNKNOWN:
                    logits = decoder.feed(tokens[fed:index])
                    tokens[index] = sample_code(logits, sampling, generator)
                    fed = index
            if on_frame is not None:
                column = torch.tensor(tokens[frame * bands : (frame + 1) * bands])
                on_frame(frame + 1, num_frames, column)
    finally:
        model.train(training)
    return unflatten(torch.tensor(tokens, dtype=torch.int64), bands)


class WindowDecoder:
    """One window of a model with its cache: codes in, scores of the next code out.

    Args:
        model: the model, in eval mode.
        text: one row of states, or None.
        guidance_scale: 1 runs one row; anything else runs the unconditional row beside it.
    """

    def __init__(
        self, model: MusicLM, text: TextStates | None, guidance_scale: float = 1.0
    ) -> None:
        if text is not None and len(text) != 1:
            raise ConfigError(f"got {len(text)} rows of text; expected 1")
        if text is not None and text.is_null:
            text = None
        self.model = model
        self.guidance_scale = guidance_scale if text is not None else 1.0
        self.rows = 1 if self.guidance_scale == 1.0 else 2
        self.device = model.null_prefix.device
        with torch.inference_mode():
            self._fill_prefix(None if text is None else text.to(self.device))

    def _fill_prefix(self, text: TextStates | None) -> None:
        if text is not None and self.rows == 2:
            text = TextStates(
                states=text.states.expand(2, -1, -1),
                mask=torch.cat((text.mask, torch.zeros_like(text.mask))),
            )
        model = self.model
        prefix, valid = model.embed_text(text, self.rows)
        self.prefix_length = prefix.shape[1]
        window = model.config.window_tokens
        self.rotary = model.rotary(self.prefix_length, window).to(self.device)
        self.key_valid = None
        if valid is not None:
            self.key_valid = torch.cat((valid, valid.new_ones(self.rows, window)), dim=1)
        self.cache = model.make_cache(self.rows, self.prefix_length)
        self._run(prefix)

    def restart(self) -> None:
        """Forget all codes; the text prefix, which never depends on them, stays."""
        self.cache.truncate(self.prefix_length)

    @torch.inference_mode()
    def feed(self, tokens: list[int]) -> Tensor:
        """Take the codes after those already taken and score the next one.

        Args:
            tokens: codes; may be empty only at the start of the window.

        Returns:
            float [codebook_size] on the CPU, guidance applied.
        """
        seen = self.cache.length - self.prefix_length
        inputs = tokens if seen else [self.model.config.bos_id, *tokens]
        row = torch.tensor(inputs, device=self.device).expand(self.rows, -1)
        hidden = self._run(self.model.embed_inputs(row, seen))
        logits = self.model.logits(hidden[:, -1]).float()
        if self.rows == 1:
            return logits[0].cpu()
        return guide(logits[0], logits[1], self.guidance_scale).cpu()

    def _run(self, x: Tensor) -> Tensor:
        start, end = self.cache.length, self.cache.length + x.shape[1]
        valid = None if self.key_valid is None else self.key_valid[:, :end]
        hidden: Tensor = self.model.transformer(x, self.rotary[start:end], valid, self.cache)
        return hidden
