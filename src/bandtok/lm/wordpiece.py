"""BERT's uncased WordPiece tokenizer: text -> ids, by the standard library alone.

Equal to the `tokenizers` library with BERT's normalizer and pre-tokenizer, which would bring a
dozen packages along. Source: Devlin et al., "BERT" (2019); Wu et al., "Google's Neural Machine
Translation System" (2016) for the greedy longest match.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from bandtok.errors import CheckpointError

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SPECIAL_PATTERN = re.compile("(" + "|".join(re.escape(token) for token in _SPECIAL) + ")")
_MAX_WORD_LENGTH = 100  # characters; a longer word becomes [UNK]
# CJK ideographs, each of which is a word.
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPieceTokenizer:
    """Splits text into the word pieces of a vocabulary.

    Args:
        vocabulary: pieces in the order of their ids; those inside a word begin with "##".

    Raises:
        CheckpointError: if a special token is missing.
    """

    def __init__(self, vocabulary: list[str]) -> None:
        self._ids = {piece: index for index, piece in enumerate(vocabulary)}
        for token in _SPECIAL:
            if token not in self._ids:
                raise CheckpointError(f"the vocabulary lacks {token}; expected BERT's vocab.txt")
        self._cls, self._sep = self._ids["[CLS]"], self._ids["[SEP]"]
        self._unknown = self._ids["[UNK]"]

    @classmethod
    def load(cls, path: Path) -> WordPieceTokenizer:
        """Read a vocab.txt, one piece per line.

        Raises:
            CheckpointError: if it cannot be read.
        """
        try:
            return cls(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"cannot read the vocabulary {str(path)!r}: {error}") from None

    def __len__(self) -> int:
        return len(self._ids)

    def encode(self, text: str, max_length: int) -> list[int]:
        """Return ids from [CLS] to [SEP], at most `max_length` (>= 2) of them."""
        pieces: list[int] = []
        for piece in self._pieces(text):
            if len(pieces) == max_length - 2:
                break
            pieces.append(piece)
        return [self._cls, *pieces, self._sep]

    def is_word(self, word: str) -> bool:
        """Return whether a word is in the vocabulary whole."""
        pieces = [piece for part in _words(word) for piece in self._split(part)]
        return len(pieces) == 1 and pieces != [self._unknown]

    def _pieces(self, text: str) -> Iterator[int]:
        for index, part in enumerate(_SPECIAL_PATTERN.split(text)):
            if index % 2:  # a special token that stands in the text
                yield self._ids[part]
                continue
            for word in _words(part):
                yield from self._split(word)

    def _split(self, word: str) -> list[int]:
        """Split a word greedily into the longest pieces there are."""
        if len(word) > _MAX_WORD_LENGTH:
            return [self._unknown]
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return [self._unknown]
            found.append(piece)
            start = end
        return found


def _words(text: str) -> Iterator[str]:
    cleaned = "".join(map(_cleaned, text))
    unaccented = "".join(map(_without_mark, unicodedata.normalize("NFD", cleaned)))
    lower = "".join(map(str.lower, unaccented))  # by character: no final sigma
    for word in lower.split(" "):
        yield from _split_punctuation(word)


def _split_punctuation(word: str) -> Iterator[str]:
    start = 0
    for index, char in enumerate(word):
        if _is_punctuation(char):
            if start < index:
                yield word[start:index]
            yield char
            start = index + 1
    if start < len(word):
        yield word[start:]


@functools.lru_cache(maxsize=4096)
def _cleaned(char: str) -> str:
    """Return a blank for white space, "" for control characters, ideographs between blanks."""
    if char in "\t\n\r":
        return " "
    if char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co"):
        return ""
    if char.isspace():
        return " "
    code = ord(char)
    return f" {char} " if any(low <= code <= high for low, high in _IDEOGRAPHS) else char


@functools.lru_cache(maxsize=4096)
def _without_mark(char: str) -> str:
    return "" if unicodedata.category(char) == "Mn" else char


@functools.lru_cache(maxsize=4096)
def _is_punctuation(char: str) -> bool:
    return (char.isascii() and char.isprintable() and not char.isalnum() and char != " ") or (
        unicodedata.category(char).startswith("P")
    )
