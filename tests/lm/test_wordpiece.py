"""Our WordPiece tokenizer against the `tokenizers` library."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import tokenizers
from tokenizers import normalizers, pre_tokenizers, processors

from bandtok.errors import CheckpointError
from bandtok.lm.text_encoder import BUNDLED_TEXT_ENCODER, VOCABULARY_FILE
from bandtok.lm.wordpiece import WordPieceTokenizer

VOCABULARY = BUNDLED_TEXT_ENCODER / VOCABULARY_FILE
PROMPTS = (
    "a calm piece with soft strings",
    "Déjà vu: ÜBERtrieben, naïve café — 120bpm!!! (C# minor) $5 don't",
    "антонимы ΣΊΣΥΦΟΣ ﬁn ﷺ İstanbul ß",
    "東京の music 音楽 한국어 🎹🎷",
    "tabs\tand\nlines\r\nand \x00 \x0b \x1f \x85 \u200b \ufffd \u00a0 \u3000 here",
    "literal [MASK] and [CLS][SEP] [mask] [unused5]",
    "x" * 100 + " " + "y" * 101 + " zzzqqq",
    "",
    " \n ",
    "word " * 100,
)


@pytest.fixture(scope="module")
def ours() -> WordPieceTokenizer:
    return WordPieceTokenizer.load(VOCABULARY)


@pytest.fixture(scope="module")
def theirs() -> tokenizers.Tokenizer:
    ids = {piece: i for i, piece in enumerate(VOCABULARY.read_text("utf-8").split("\n")[:-1])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 102), ("[CLS]", 101))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.enable_truncation(64)
    return tokenizer


@pytest.mark.parametrize("text", PROMPTS)
def test_equals_the_library(
    text: str, ours: WordPieceTokenizer, theirs: tokenizers.Tokenizer
) -> None:
    assert ours.encode(text, 64) == theirs.encode(text).ids


def test_equals_the_library_on_random_text(
    ours: WordPieceTokenizer, theirs: tokenizers.Tokenizer
) -> None:
    rng = random.Random(0)
    # Letters, marks and signs that have been in Unicode for long, so that tables agree.
    signs = [chr(code) for code in (*range(0x600), *range(0x2000, 0x2070), *range(0x3000, 0x3100))]
    for _ in range(500):
        text = "".join(rng.choice((rng.choice(signs), *"aeiou -'")) for _ in range(40))
        assert ours.encode(text, 64) == theirs.encode(text).ids, text


def test_length_is_limited(ours: WordPieceTokenizer) -> None:
    assert len(ours.encode("word " * 100, 64)) == 64
    assert ours.encode("word " * 100, 3) == [101, 2773, 102]


def test_a_vocabulary_without_special_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lacks \[PAD\]"):
        WordPieceTokenizer(["a", "b"])
    with pytest.raises(CheckpointError, match="cannot read"):
        WordPieceTokenizer.load(tmp_path / "none.txt")
