"""Text encoders by name: the bundled all-MiniLM-L6-v2, a toy, or any encoder of the hub.

prompts -> TextEmbeddings: per prompt its pooled state, then one state per word piece
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor

from bandtok.errors import CheckpointError, ConfigError
from bandtok.lm.bert import Bert, BertConfig
from bandtok.lm.packed_weights import unpack_tensors
from bandtok.lm.pretrained_text import LONGEST_TEXT, PretrainedTextEncoder
from bandtok.lm.text_embeddings import (
    MAX_TEXT_LENGTH,
    HashTextEncoder,
    TextEmbeddings,
    TextEncoder,
    pad_states,
    pooled_first,
)
from bandtok.lm.wordpiece import WordPieceTokenizer

BUNDLED_TEXT_ENCODER = Path(__file__).parents[1] / "weights" / "text_encoder"
CONFIG_FILE, WEIGHTS_FILE, VOCABULARY_FILE = "config.json", "model.safetensors", "vocab.txt"


class BertTextEncoder:
    """Last hidden states of a BERT encoder, with their mean in front.

    Args:
        network: ids and mask -> hidden states.
        tokenizer: text -> ids.
        device: where the network runs.
        max_length: word pieces kept per prompt, special ones included.
    """

    def __init__(
        self,
        network: Bert,
        tokenizer: WordPieceTokenizer,
        device: torch.device | str = "cpu",
        max_length: int = MAX_TEXT_LENGTH,
    ) -> None:
        self._network = network.eval().requires_grad_(False).to(device)
        self._tokenizer = tokenizer
        self._device = device
        self._max_length = max_length

    @property
    def dim(self) -> int:
        return self._network.config.hidden_size

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextEmbeddings:
        """Encode prompts; states come back on the CPU."""
        given = [index for index, text in enumerate(texts) if text.strip()]
        rows = [torch.zeros(0, self.dim) for _ in texts]
        if given:
            for index, row in zip(given, self._states([texts[i] for i in given]), strict=True):
                rows[index] = pooled_first(row)
        return pad_states(rows, self.dim)

    def fits(self, text: str) -> bool:
        """Return whether a prompt has no more word pieces than are kept."""
        if len(text) > LONGEST_TEXT:
            return False
        return len(self._tokenizer.encode(text, self._max_length + 1)) <= self._max_length

    def _states(self, texts: list[str]) -> list[Tensor]:
        pieces = [self._tokenizer.encode(text[:LONGEST_TEXT], self._max_length) for text in texts]
        lengths = [len(row) for row in pieces]
        ids = torch.zeros(len(pieces), max(lengths), dtype=torch.int64)
        for row, found in zip(ids, pieces, strict=True):
            row[: len(found)] = torch.tensor(found)
        mask = torch.arange(ids.shape[1]) < torch.tensor(lengths)[:, None]
        states = self._network(
            ids.to(self._device), None if bool(mask.all()) else mask.to(self._device)
        )
        return [row[:length] for row, length in zip(states.float().cpu(), lengths, strict=True)]


def load_bert_text_encoder(
    folder: Path = BUNDLED_TEXT_ENCODER, device: torch.device | str = "cpu"
) -> BertTextEncoder:
    """Load an encoder from config.json, packed model.safetensors and vocab.txt.

    Raises:
        CheckpointError: if a file is missing, damaged, or does not fit the others.
    """
    try:
        content = json.loads((folder / CONFIG_FILE).read_bytes())
        with torch.device("meta"):  # no random weights that would be overwritten
            network = Bert(BertConfig.from_dict(content["config"]))
        tensors: dict[str, np.ndarray] = unpack_tensors(load_file(folder / WEIGHTS_FILE))
        states = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        network.load_state_dict(states, assign=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"cannot load the text encoder in {str(folder)!r}: {reason}"
        ) from None
    tokenizer = WordPieceTokenizer.load(folder / VOCABULARY_FILE)
    if len(tokenizer) != network.config.vocab_size:
        raise CheckpointError(
            f"got a vocabulary of {len(tokenizer)} pieces in {str(folder)!r}; "
            f"expected {network.config.vocab_size}"
        )
    return BertTextEncoder(network, tokenizer, device)


def load_text_encoder(name: str, device: torch.device | str = "cpu") -> TextEncoder:
    """Load a text encoder by name.

    Args:
        name: "minilm" (the bundled weights), "hash:DIM" (toy), or "hub:NAME_OR_PATH" for any
            encoder that transformers can load.
        device: where a pretrained encoder runs.

    Raises:
        ConfigError: if the name is none of these.
        MissingDependency: if "hub:" is asked for and transformers is not installed.
        CheckpointError: if the bundled weights are missing or damaged.
    """
    kind, _, rest = name.partition(":")
    if kind == "hash" and rest.isdecimal():
        return HashTextEncoder(int(rest))
    if name == "minilm":
        return load_bert_text_encoder(device=device)
    if kind == "hub" and rest:
        return PretrainedTextEncoder(rest, device)
    raise ConfigError(
        f"got text encoder {name!r}; expected 'minilm', 'hash:DIM' or 'hub:NAME_OR_PATH'"
    )
