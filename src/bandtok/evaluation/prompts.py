"""Prompts for measuring text control, and the tags that a prompt requests.

    prompts.tsv            "bundled": prompts worded like this project's captions
    musiccaps_prompts.tsv  "musiccaps": 200 descriptions that musicians wrote (CC BY-SA 4.0)
    a user's own text      one prompt per line

Lines of the fixed sets are a prompt, the concepts it requests, and where it comes from, with tabs
between. A concept is one or several tags of a tagger that mean the same. It counts only if the
prompt names it or a plain synonym and does not negate it, which is found by `requested_concepts`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bandtok.errors import DataError

PROMPT_SETS = {
    "bundled": Path(__file__).with_name("prompts.tsv"),
    "musiccaps": Path(__file__).with_name("musiccaps_prompts.tsv"),
}
"""The fixed sets by name."""
_MAX_BYTES = 1 << 20

_CONCEPTS = (
    "ambient, cello, country, dance, drums, electronic, fast, flute, guitar, harp, harpsichord, "
    "indian, loud, metal, new age, opera, piano, pop, quiet, rock, sitar, slow, soft, solo, "
    "strings, synth, techno, violin, weird"
)
CONCEPTS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in _CONCEPTS.split(", ")},
    "beat": ("beat", "beats"),
    "choir": ("choir", "choral"),
    "classical": ("classical", "classic"),
    "female": ("female", "woman", "female vocal", "female voice"),
    "male": ("male", "man", "male vocal", "male voice"),
    "no vocals": ("no vocals", "no vocal", "no voice"),
    "vocals": ("vocal", "vocals", "singing", "voice"),
}
"""Tags of the MTT tagger by concept; together they are all of its tags, each once."""

_MSD_CONCEPTS = (
    "acoustic, ambient, blues, catchy, country, dance, experimental, folk, funk, guitar, happy, "
    "jazz, party, pop, punk, rock, sad, soul"
)
MSD_CONCEPTS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in _MSD_CONCEPTS.split(", ")},
    "chillout": ("chillout", "chill"),
    "electronic": ("electronic", "electronica", "electro"),
    "hip hop": ("Hip-Hop",),
    "house": ("House",),
    "indie": ("indie", "indie rock", "indie pop"),
    "mellow": ("Mellow",),
    "metal": ("metal", "heavy metal"),
    "no vocals": ("instrumental",),
}
"""Tags of the MSD tagger by concept, without decades, languages and opinions."""

_WORDS = {
    "acoustic": "acoustic",
    "ambient": "ambient",
    "beat": "beats?",
    "blues": "blues|bluesy",
    "catchy": "catchy",
    "cello": "cellos?",
    "chillout": "chill|chilled|chill[ -]?out|relaxing|relaxed",
    "choir": "choirs?|choral",
    "classical": "classical|baroque",
    "country": "country|honky-tonk",
    "dance": "dance|dancefloor|danceable",
    "drums": "drums?|drumming|drummers?",
    "electronic": "electronic|electronica|electro",
    "experimental": "experimental",
    "fast": "fast|rapid|frantic|breakneck|up-?tempo",
    "female": "female|wom[ae]n|soprano",
    "flute": "flutes?",
    "folk": "folk",
    "funk": "funk|funky",
    "guitar": "(?:e-)?guitars?",
    "happy": "happy|cheerful|joyful",
    "harp": "harps?",
    "harpsichord": "harpsichords?",
    "hip hop": "hip[ -]?hop|rap",
    "house": "house(?= (?:music|beats?|track|groove))|deep house",
    "indian": "indian|raga",
    "indie": "indie",
    "jazz": "jazz|jazzy",
    "loud": "loud|deafening",
    "male": "male|m[ae]n|baritone|tenor",
    "mellow": "mellow",
    "metal": "metal",
    "new age": "new[ -]age",
    "no vocals": "instrumental",
    "opera": "opera|operatic|aria",
    "party": "party",
    "piano": "pianos?",
    "pop": "pop",
    "punk": "punk",
    "quiet": "quiet|quietly|hushed",
    "rock": "rock",
    "sad": "sad|melancholic|melancholy|sorrowful",
    "sitar": "sitars?",
    "slow": "slow|slowly",
    "soft": "soft|softly",
    "solo": "solo|unaccompanied",
    "soul": "soul|soulful",
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
    """One prompt and the concepts it requests, sorted."""

    text: str
    concepts: tuple[str, ...]


def requested_concepts(prompt: str) -> tuple[str, ...]:
    """Return the concepts that a prompt requests, sorted."""
    text = prompt.lower()
    said = _NEGATED_WORD.sub(" ", _NO_VOICES.sub(" ", text))
    found = {name for name, pattern in _PATTERNS.items() if pattern.search(said)}
    if _NO_VOICES.search(text):
        found.add("no vocals")
    return tuple(sorted(found))


def named_prompts(name: str) -> list[ControlPrompt]:
    """Return a fixed set by its name, or the prompts of a text file, one per line.

    Raises:
        DataError: if it is neither; see `load_prompts`.
    """
    if name not in PROMPT_SETS:
        return load_prompts(Path(name))
    prompts = []
    for line in PROMPT_SETS[name].read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        text, concepts = line.split("\t")[:2]
        prompts.append(
            ControlPrompt(text=text, concepts=tuple(word for word in concepts.split(", ") if word))
        )
    return prompts


def load_prompts(path: Path) -> list[ControlPrompt]:
    """Read prompts, one per line, and the concepts of each.

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
    return [ControlPrompt(text=text, concepts=requested_concepts(text)) for text in texts]


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
        "prompt's number, as 'bandtok generate --prompts' writes them, or one clip per prompt"
    )
