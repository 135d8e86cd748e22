"""The bundled text encoder, all-MiniLM-L6-v2: prompts -> TextEmbeddings.

Per prompt its pooled state, then one state per word piece. `bandtok.backends` loads encoders by
name and supplies the network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from bandtok.errors import CheckpointError
from bandtok.lm.bert_config import BertConfig
from bandtok.lm.packed_weights import unpack_tensors
from bandtok.lm.prompt_language import is_english
from bandtok.lm.text_embeddings import (
    LONGEST_TEXT,
    MAX_TEXT_LENGTH,
    TextEmbeddings,
    pad_states,
    pooled_first,
)
from bandtok.lm.wordpiece import WordPieceTokenizer

BUNDLED_TEXT_ENCODER = Path(__file__).parents[1] / "weights" / "text_encoder"
CONFIG_FILE, WEIGHTS_FILE, VOCABULARY_FILE = "config.json", "model.safetensors", "vocab.txt"

BertNetwork = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""ids int64 and mask bool [batch, length] -> hidden states float32 [batch, length, hidden_size]."""


class BertTextEncoder:
    """Last hidden states of a BERT encoder, with their mean in front.

    Args:
        network: ids and mask -> hidden states.
        dim: width of these.
        tokenizer: text -> ids.
        max_length: word pieces kept per prompt, special ones included.
    """

    def __init__(
        self,
        network: BertNetwork,
        dim: int,
        tokenizer: WordPieceTokenizer,
        max_length: int = MAX_TEXT_LENGTH,
    ) -> None:
        self._network, self._dim = network, dim
        self._tokenizer, self._max_length = tokenizer, max_length

    @property
    def dim(self) -> int:
        return self._dim

    def encode(self, texts: Sequence[str]) -> TextEmbeddings:
        """Encode prompts."""
        given = [index for index, text in enumerate(texts) if text.strip()]
        rows = [np.zeros((0, self.dim), np.float32) for _ in texts]
        if given:
            for index, row in zip(given, self._states([texts[i] for i in given]), strict=True):
                rows[index] = pooled_first(row)
        return pad_states(rows, self.dim)

    def fits(self, text: str) -> bool:
        """Return whether a prompt has no more word pieces than are kept."""
        if len(text) > LONGEST_TEXT:
            return False
        return len(self._tokenizer.encode(text, self._max_length + 1)) <= self._max_length

    def understands(self, text: str) -> bool:
        """Return whether a prompt seems to be English, which is what the encoder has learned."""
        return is_english(text[:LONGEST_TEXT], self._tokenizer.is_word)

    def _states(self, texts: list[str]) -> list[np.ndarray]:
        pieces = [self._tokenizer.encode(text[:LONGEST_TEXT], self._max_length) for text in texts]
        lengths = [len(row) for row in pieces]
        ids = np.zeros((len(pieces), max(lengths)), np.int64)
        for row, found in zip(ids, pieces, strict=True):
            row[: len(found)] = found
        mask = np.arange(ids.shape[1]) < np.array(lengths)[:, None]
        states = self._network(ids, mask)
        return [row[:length] for row, length in zip(states, lengths, strict=True)]


def read_text_encoder(
    folder: Path,
) -> tuple[BertConfig, dict[str, np.ndarray], WordPieceTokenizer]:
    """Read an encoder from config.json, packed model.safetensors and vocab.txt.

    Returns:
        The sizes, the weights in float32 by their published names, and the tokenizer.

    Raises:
        CheckpointError: if a file is missing, damaged, or does not fit the others.
    """
    try:
        content = json.loads((folder / CONFIG_FILE).read_bytes())
        config = BertConfig.from_dict(content["config"])
        weights = unpack_tensors(load_file(folder / WEIGHTS_FILE))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise text_encoder_error(folder, error) from None
    tokenizer = WordPieceTokenizer.load(folder / VOCABULARY_FILE)
    if len(tokenizer) != config.vocab_size:
        raise CheckpointError(
            f"got a vocabulary of {len(tokenizer)} pieces in {str(folder)!r}; "
            f"expected {config.vocab_size}"
        )
    return config, weights, tokenizer


def text_encoder_error(folder: Path, error: Exception) -> CheckpointError:
    """Return what to raise if an encoder cannot be loaded from a folder."""
    reason = " ".join(str(error).split())[:200]
    return CheckpointError(f"cannot load the text encoder in {str(folder)!r}: {reason}")
