"""Whether a prompt is English, as far as words and script tell: for encoders that know no more.

A rough test that seldom errs on English descriptions of music, and recognizes other languages by
their script, their function words, or by hardly any of their words being in an English vocabulary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_WORD = re.compile(r"[^\W\d_]+")
_OTHER = """
    und mit der das ein eine einem einer für ohne nicht sehr vom zum zur
    et avec du des une pour sans dans très con del los las una para sin muy
    di della senza molto sotto com sem uma muito met een zonder het voor zachte
    och utan ett og ikke ilman bez ve ile bir yang dan dengan tanpa és și
"""
_ENGLISH = """
    a and the with of for melody melodies guitar bass brass drum drums percussion percussions beat
    beats hit hits sound sounds vocal vocals loud low slow fast soft mellow tempo uptempo hop
    ensemble recording solo music song tune rhythm
"""
_OTHER_WORDS, _ENGLISH_WORDS = frozenset(_OTHER.split()), frozenset(_ENGLISH.split())
_FEW, _MOST, _NEARLY_ALL = 0.3, 0.6, 0.8  # shares of the letters that are in unknown words


def is_english(text: str, is_known: Callable[[str], bool]) -> bool:
    """Return whether a prompt seems to be English; an empty one does.

    Args:
        text: the prompt.
        is_known: whether a word is in an English vocabulary.
    """
    letters = [char for char in text if char.isalpha()]
    if not letters:
        return not text.strip() or any(char.isdigit() for char in text)
    if sum(map(_is_latin, letters)) <= len(letters) / 2:
        return False
    words = _WORD.findall(text.lower())
    long_words = [word for word in words if len(word) > 2]
    unknown = sum(len(word) for word in words if not is_known(word)) / len(letters)
    foreign = len(_OTHER_WORDS.intersection(words))
    if foreign > 1 or (foreign and unknown >= _FEW):
        return False
    if any(word in _ENGLISH_WORDS or word.endswith("ing") for word in words):
        return True
    if len(long_words) > 1 and unknown >= _NEARLY_ALL and not text.isascii():
        return False
    return len(long_words) < 3 or unknown < _MOST


def _is_latin(char: str) -> bool:
    return unicodedata.name(char, "").startswith("LATIN")
