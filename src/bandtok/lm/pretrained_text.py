"""Any text encoder that transformers can load: prompt -> pooled state, one state per word piece.

Needs the extra `text`; transformers is imported when an encoder is made.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bandtok.extras import require
from bandtok.lm.text_embeddings import (
    LONGEST_TEXT,
    MAX_TEXT_LENGTH,
    TextEmbeddings,
    pad_states,
    pooled_first,
)


class PretrainedTextEncoder:
    """Last hidden states of a pretrained encoder, with their mean in front.

    Args:
        name_or_path: a local folder or a hub name.
        device: where the encoder runs.
        max_length: word pieces kept per prompt, special ones included.

    Raises:
        MissingDependency: if transformers is not installed.
    """

    def __init__(
        self,
        name_or_path: str | os.PathLike[str],
        device: torch.device | str = "cpu",
        max_length: int = MAX_TEXT_LENGTH,
    ) -> None:
        transformers = require("transformers", "text")
        transformers_logging = transformers.utils.logging
        local = Path(name_or_path).is_dir()
        bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                name_or_path, local_files_only=local
            )
            model = transformers.AutoModel.from_pretrained(
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
    def encode(self, texts: Sequence[str]) -> TextEmbeddings:
        """Encode prompts."""
        given = [index for index, text in enumerate(texts) if text.strip()]
        rows = [np.zeros((0, self.dim), np.float32) for _ in texts]
        if given:
            for index, row in zip(given, self._states([texts[i] for i in given]), strict=True):
                rows[index] = row
        return pad_states(rows, self.dim)

    def fits(self, text: str) -> bool:
        """Return whether a prompt has no more word pieces than are kept."""
        if len(text) > LONGEST_TEXT:
            return False
        pieces = self._tokenizer(text, truncation=True, max_length=self._max_length + 1)
        return len(pieces["input_ids"]) <= self._max_length

    def understands(self, text: str) -> bool:
        """Return True: what the encoder has learned is not known."""
        return True

    def _states(self, texts: list[str]) -> list[np.ndarray]:
        pieces = self._tokenizer(
            [text[:LONGEST_TEXT] for text in texts],
            padding=True,
            truncation=True,
            max_length=self._max_length,
            return_tensors="pt",
        ).to(self._device)
        states = self._model(**pieces).last_hidden_state.float().cpu().numpy()
        lengths = pieces["attention_mask"].sum(dim=1).tolist()
        rows = [row[:length] for row, length in zip(states, lengths, strict=True)]
        return [pooled_first(row) for row in rows]
