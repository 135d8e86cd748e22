"""Words of attributes: synonyms, and what they contradict."""

from __future__ import annotations

from collections.abc import Mapping

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "slow": (
        *("slow", "slow", "slow", "very slow", "slow-paced", "slow tempo", "calm tempo"),
        *("unhurried", "adagio"),
    ),
    "medium": (
        *("medium tempo", "mid-tempo", "moderate tempo", "moderately paced", "moderate"),
        *("moderately quick", "fairly quick", "not too fast", "not too slow", "andante"),
    ),
    "fast": (
        *("fast", "fast", "fast", "very fast", "fast-paced", "quick", "up-tempo", "rapid"),
        "allegro",
    ),
    "soft": ("soft", "quiet", "soft", "quiet", "softly played", "gentle"),
    "loud": ("loud", "loud", "powerful", "very loud", "strong"),
    "bright": ("bright", "bright", "brilliant", "crisp"),
    "dark sound": ("dark", "warm", "muffled", "mellow sounding"),
    "sparse": ("sparse", "minimal", "with few notes", "spacious"),
    "busy": ("busy", "dense", "full", "with many notes"),
    "staccato": ("staccato", "short notes", "detached notes"),
    "spacious": ("reverberant", "spacious", "with much reverb", "echoing"),
    "dry": ("dry", "close", "without reverb"),
    "drums": ("drums", "drums", "a drum beat", "beat", "percussion"),
    "no drums": ("no drums", "without drums", "without percussion"),
    "sad": ("sad", "melancholic", "sorrowful"),
    "happy": ("happy", "cheerful", "joyful"),
    "cheerful": ("cheerful", "happy", "merry"),
    "calm": ("calm", "peaceful", "relaxing", "quiet and calm"),
    "peaceful": ("peaceful", "calm", "tranquil"),
    "relaxing": ("relaxing", "soothing", "calming"),
    "energetic": ("energetic", "lively", "driving"),
    "aggressive": ("aggressive", "fierce", "angry"),
    "heavy": ("heavy", "hard"),
    "dreamy": ("dreamy", "floating"),
    "solemn": ("solemn", "serious"),
    "eerie": ("eerie", "spooky", "unsettling"),
    "weird": ("weird", "strange", "odd"),
    "epic": ("epic", "heroic", "grand"),
    "electronic": ("electronic", "electronic", "electronica"),
    "drum and bass": ("drum and bass", "drum & bass", "dnb"),
    "orchestral": ("orchestral", "symphonic", "orchestra"),
    "new age": ("new age", "new-age"),
    "chiptune": ("chiptune", "8-bit", "retro game music"),
    "indian": ("indian", "indian classical"),
    "jazz": ("jazz", "jazzy"),
    "funk": ("funk", "funky"),
    "classical": ("classical", "classical", "classic"),
    "folk": ("folk", "folk", "traditional"),
    "choir": ("choir", "choir", "choral voices"),
    "drum solo": ("drum solo", "drums only", "solo drums"),
}
METERS: Mapping[str, tuple[str, ...]] = {
    "3/4": ("in three", "in 3/4 time", "in waltz time"),
    "6/8": ("in six", "in 6/8 time", "with a lilting rhythm"),
    "4/4": ("in four", "in 4/4 time"),
}
# Words that contradict each other; each line both ways.
_OPPOSITES = (
    ("slow", "fast medium up-tempo"),
    ("medium", "fast"),
    ("soft", "loud heavy aggressive energetic"),
    ("quiet", "loud heavy aggressive energetic"),
    ("calm", "loud heavy aggressive energetic fast party punk metal"),
    ("peaceful", "loud heavy aggressive energetic fast party"),
    ("gentle", "loud heavy aggressive energetic fast"),
    ("relaxing", "loud heavy aggressive energetic fast"),
    ("relaxed", "heavy aggressive energetic"),
    ("meditative", "loud heavy aggressive energetic fast"),
    ("sleepy", "loud heavy aggressive energetic fast"),
    ("dreamy", "aggressive heavy"),
    ("mellow", "loud heavy aggressive energetic fast"),
    ("chill", "loud heavy aggressive fast"),
    ("chillout", "loud heavy aggressive fast"),
    ("menacing", "calm peaceful happy cheerful"),
    ("happy", "sad melancholy solemn eerie dark dark_sound ghost"),
    ("cheerful", "sad melancholy solemn eerie dark"),
    ("playful", "sad melancholy solemn"),
    ("sunny", "sad melancholy dark"),
    ("bright", "dark dark_sound"),
    ("sparse", "busy"),
    ("spacious", "dry"),
    ("drums", "no_drums"),
    ("no_drums", "beat percussion techno metal punk dnb drum_and_bass house breakbeat funk"),
    ("acoustic", "electronic techno synth electro dnb drum_and_bass chiptune house"),
    ("solo", "band orchestra duet trio quartet ensemble"),
    ("duet", "band orchestra trio quartet ensemble"),
    ("romantic", "aggressive"),
    ("slow", "techno drum_and_bass punk dnb party"),
    ("ambient", "punk metal heavy_metal party"),
)


def opposites_of(word: str) -> frozenset[str]:
    """Return the words that contradict this one."""
    return _RULED_OUT.get(word, frozenset())


def _both_ways() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for left, rights in _OPPOSITES:
        first = left.replace("_", " ")
        for right in (word.replace("_", " ") for word in rights.split()):
            found.setdefault(first, set()).add(right)
            found.setdefault(right, set()).add(first)
    return {word: frozenset(others) for word, others in found.items()}


_RULED_OUT = _both_ways()
