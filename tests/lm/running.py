"""Generation with small torch models, tensors in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.lm import generate, inpainting
from bandtok.lm.decoding import WindowDecoder
from bandtok.lm.generate import CodeRequest
from bandtok.lm.inpainting import InpaintRequest
from bandtok.lm.model import MusicLM
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import TextEmbeddings


def code_request(
    text: TextEmbeddings | None, num_frames: int, prompt_codes: Tensor | None = None, **more: Any
) -> CodeRequest:
    start = None if prompt_codes is None else prompt_codes.numpy()
    return CodeRequest(text=text, num_frames=num_frames, prompt_codes=start, **more)


def generate_batch(
    model: MusicLM, text: TextEmbeddings | None, num_frames: int, **more: Any
) -> Tensor:
    """Return int64 [clips, bands, frames]; `more` as for `code_request`."""
    request = code_request(text, num_frames, **more)
    return torch.from_numpy(generate.generate_codes(TorchLanguageModel(model), request))


def generate_codes(
    model: MusicLM, text: TextEmbeddings | None, num_frames: int, *, seed: int = 0, **more: Any
) -> Tensor:
    """Return one clip, int64 [bands, frames]."""
    return generate_batch(model, text, num_frames, seeds=[seed], **more)[0]


def inpaint_codes(
    model: MusicLM, text: TextEmbeddings | None, codes: Tensor, keep: Tensor, **more: Any
) -> Tensor:
    """Return int64 [bands, frames], every column that `stream_inpainted` gives."""
    language_model = TorchLanguageModel(model)
    request = InpaintRequest(codes=codes.numpy(), keep=keep.numpy(), text=text, **more)
    return torch.from_numpy(inpainting.inpaint_codes(language_model, request))


def scores(
    decoder: WindowDecoder, order: Tensor, tokens: Tensor, known: int, first_frame: int = 0
) -> Tensor:
    """Return a decoder's scores of every token from `known` on, [clips, n, codebook_size]."""
    found = [decoder.begin(order.numpy(), tokens[:, :known].numpy(), first_frame).copy()]
    for place in range(known, len(order) - 1):
        found.append(decoder.step(tokens[:, place].numpy()).copy())
    return torch.from_numpy(np.stack(found, axis=1))


def window_decoder(
    model: MusicLM,
    text: TextEmbeddings | None = None,
    clips: int = 1,
    scales: Sequence[float] = (1.0, 1.0),
    beat: Any = None,
) -> WindowDecoder:
    """Return a decoder with these guidance scales of text and beat."""
    sampling = SamplingConfig(guidance_scale=scales[0], beat_guidance_scale=scales[1])
    return WindowDecoder(TorchLanguageModel(model), clips, text, beat, sampling)
