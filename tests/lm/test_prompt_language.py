"""Prompts that the text encoder does not understand are recognized, English ones are left alone."""

from __future__ import annotations

import pytest

from bandtok.evaluation.prompts import named_prompts
from bandtok.lm.prompt_language import is_english
from bandtok.lm.text_encoder import BUNDLED_TEXT_ENCODER, VOCABULARY_FILE
from bandtok.lm.wordpiece import WordPieceTokenizer

TOKENIZER = WordPieceTokenizer.load(BUNDLED_TEXT_ENCODER / VOCABULARY_FILE)


@pytest.mark.parametrize("name", ["bundled", "musiccaps"])
def test_english_prompts_are_left_alone(name: str) -> None:
    prompts = [prompt.text for prompt in named_prompts(name)]
    assert [text for text in prompts if not is_english(text, TOKENIZER.is_word)] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "piano",
        "bossa nova",
        "Besame mucho",
        "arpeggiated synth",
        "la bamba",
        "flamenco guitarra",
        "sitar and tabla",
        "funky slap bass, 808s, 120 bpm",
        "90s",
        "drum'n'bass",
        "café jazz",
        "a señorita dancing the tango",
        "Tchaikovsky",
    ],
)
def test_names_and_loanwords_are_left_alone(text: str) -> None:
    assert is_english(text, TOKENIZER.is_word)


@pytest.mark.parametrize(
    "text",
    [
        "静かなピアノソロ",
        "快节奏的摇滚吉他",
        "조용한 피아노 음악",
        "спокойная фортепианная музыка",
        "موسيقى بيانو هادئة",
        "शांत पियानो संगीत",
        "🎹",
        "...",
        "ruhiges Klavierstück mit Streichern",
        "fröhliche Volksmusik für Akkordeon",
        "musique de piano douce et lente",
        "música electrónica oscura sin voz",
        "chitarra acustica tranquilla",
        "uma valsa triste para acordeão",
        "vrolijke volksmuziek met accordeon",
        "szybki rock z gitarą elektryczną i perkusją",
        "hızlı rock, elektro gitar ve davul",
        "lagu gitar akustik yang sedih",
    ],
)
def test_other_languages_are_recognized(text: str) -> None:
    assert not is_english(text, TOKENIZER.is_word)
