"""Prompts for judging text control, and what tags a prompt asks for.

    prompts.tsv        the fixed set: a prompt, a tab, the concepts it asks for
    a user's own text  one prompt a line; what it asks for is found by its words

A concept is one or several tags of the MTT tagger that mean the same. It counts only if the prompt
names it or a plain synonym and does not negate it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bandtok.errors import DataError

BUNDLED_PROMPTS = Path(__file__).with_name("prompts.tsv")
_MAX_BYTES = 1 << 20

CONCEPTS: dict[str, tuple[str, ...]] = {
    "ambient": ("ambient",),
    "beat": ("beat", "beats"),
    "cello": ("cello",),
    "choir": ("choir", "choral"),
    "classical": ("classical", "classic"),
    "country": ("country",),
    "dance": ("dance",),
    "drums": ("drums",),
    "electronic": ("electronic",),
    "fast": ("fast",),
    "female": ("female", "woman", "female vocal", "female voice"),
    "flute": ("flute",),
    "guitar": ("guitar",),
    "harp": ("harp",),
    "harpsichord": ("harpsichord",),
    "indian": ("indian",),
    "loud": ("loud",),
    "male": ("male", "man", "male vocal", "male voice"),
    "metal": ("metal",),
    "new age": ("new age",),
    "no vocals": ("no vocals", "no vocal", "no voice"),
    "opera": ("opera",),
    "piano": ("piano",),
    "pop": ("pop",),
    "quiet": ("quiet",),
    "rock": ("rock",),
    "sitar": ("sitar",),
    "slow": ("slow",),
    "soft": ("soft",),
    "solo": ("solo",),
    "strings": ("strings",),
    "synth": ("synth",),
    "techno": ("techno",),
    "violin": ("violin",),
    "vocals": ("vocal", "vocals", "singing", "voice"),
    "weird": ("weird",),
}
"""Tags of the MTT tagger by concept; together they are all of its tags, each once."""

_WORDS = {
    "ambient": "ambient",
    "beat": "beats?",
    "cello": "cellos?",
    "choir": "choirs?|choral",
    "classical": "classical|baroque",
    "country": "country|honky-tonk",
    "dance": "dance|dancefloor|danceable",
    "drums": "drums?|drumming|drummers?",
    "electronic": "electronic|electronica|electro",
    "fast": "fast|rapid|frantic|breakneck",
    "female": "female|wom[ae]n|soprano",
    "flute": "flutes?",
    "guitar": "guitars?",
    "harp": "harps?",
    "harpsichord": "harpsichords?",
    "indian": "indian|raga",
    "loud": "loud|deafening",
    "male": "male|m[ae]n|baritone|tenor",
    "metal": "metal",
    "new age": "new[ -]age",
    "no vocals": "instrumental",
    "opera": "opera|operatic|aria",
    "piano": "pianos?",
    "pop": "pop",
    "quiet": "quiet|quietly|hushed",
    "rock": "rock",
    "sitar": "sitars?",
    "slow": "slow|slowly",
    "soft": "soft|softly",
    "solo": "solo|unaccompanied",
    "strings": "strings?",
    "synth": "synths?|synthesi[sz]ers?|synthwave",
    "techno": "techno",
    "violin": "violins?|fiddles?",
    "vocals": "vocals?|singing|sings?|singers?|voices?|choirs?|choral|opera|operatic|aria",
    "weird": "weird|strange|bizarre",
}
_NEGATED = r"(?<!\w)(?:no|not|without|never)(?:\s+(?:any|a|the|too|very))?\s+"
_NO_VOICES = re.compile(_NEGATED + r"(?:\w+\s+)?(?:vocals?|singing|singers?|voices?)(?!\w)")
_PATTERNS = {name: re.compile(rf"(?<![\w-])(?:{words})(?![\w-])") for name, words in _WORDS.items()}
_NEGATED_WORD = re.compile(_NEGATED + r"[\w-]+(?:\s+(?:or|and|nor)\s+[\w-]+)?")


@dataclass(frozen=True, kw_only=True)
class ControlPrompt:
    """One prompt and the concepts it asks for, sorted."""

    text: str
    concepts: tuple[str, ...]


def asked_concepts(prompt: str) -> tuple[str, ...]:
    """Return the concepts that a prompt asks for, sorted."""
    text = prompt.lower()
    said = _NEGATED_WORD.sub(" ", _NO_VOICES.sub(" ", text))
    found = {name for name, pattern in _PATTERNS.items() if pattern.search(said)}
    if _NO_VOICES.search(text):
        found.add("no vocals")
    return tuple(sorted(found))


def bundled_prompts() -> list[ControlPrompt]:
    """Return the fixed set of prompts."""
    prompts = []
    for line in BUNDLED_PROMPTS.read_text(encoding="utf-8").splitlines():
        text, _, concepts = line.partition("\t")
        prompts.append(
            ControlPrompt(text=text, concepts=tuple(name for name in concepts.split(", ") if name))
        )
    return prompts


def load_prompts(path: Path) -> list[ControlPrompt]:
    """Read prompts, one a line, and find what each asks for.

    Raises:
        DataError: if the file holds none, or is no text of at most 1 MiB.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES} bytes; expected prompts")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read prompts from {path}: {error}") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise DataError(f"{path} holds no prompt; expected one a line")
    return [ControlPrompt(text=text, concepts=asked_concepts(text)) for text in texts]


def prompt_numbers(names: Sequence[str], num_prompts: int) -> list[int]:
    """Return the index of each clip's prompt, from names as `bandtok generate --prompts` gives.

    Those begin with the prompt's number, from 1 ("007-a-slow-waltz-2.wav"). Other names, one for
    each prompt, are taken in the order of the prompts.

    Args:
        names: of the clips, sorted.
        num_prompts: prompts in the file.

    Raises:
        DataError: if the names do not say which clip is of which prompt.
    """
    found = [re.match(r"(\d{3,})(?=\D|$)", name) for name in names]
    numbers = [int(match[1]) - 1 for match in found if match]
    if len(numbers) == len(names) and all(0 <= number < num_prompts for number in numbers):
        return numbers
    if len(names) == num_prompts:
        return list(range(num_prompts))
    raise DataError(
        f"got {len(names)} clips for {num_prompts} prompts; expected names that begin with the "
        "prompt's number, as 'bandtok generate --prompts' writes them, or one clip a prompt"
    )
