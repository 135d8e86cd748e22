"""Captions from the attributes of a stretch of music, in many wordings.

Real prompts come in every form: a word, a list of key words, a phrase, a description of several
sentences. So captions are made during training, a new one each time a window is sampled: parts are
dropped, shuffled and replaced by synonyms. Doubtful attributes appear less often. Authors are left
out: nobody's music should be requested by name. Knows nothing of encoders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandtok.data.caption_templates import METERS, SYNONYMS
from bandtok.data.shards import Shard, TokenCorpus
from bandtok.data.token_windows import WindowSampler
from bandtok.data.window_attributes import Attribute, window_attributes

_NOUNS = ("music", "piece", "track", "tune", "song", "instrumental")
_FORMS = ("word", "key words", "phrase", "sentences")
_FORM_SHARES = (0.08, 0.34, 0.38, 0.20)
_REQUESTS = (
    "play {}",
    "{}, please",
    "I would like {}",
    "make me {}",
    "give me {}",
    "something like {}",
    "I want to hear {}",
    "can you play {}?",
    "music for a video: {}",
)
_REQUEST_SHARE = 0.1
_KEEP = 0.75
_ADJECTIVES = ("tempo", "loudness", "mood", "brightness", "density", "room")
_UNSPECIFIC = frozenset({"texture", "room", "articulation", "key", "meter", "bpm", "density"})
_PLAYERS = ("instrument", "feature")
_EXTRAS = ("key", "meter", "articulation")
_FREQUENCY = {
    "instrument": 1.25,
    "style": 1.1,
    "tempo": 1.2,
    "key": 0.25,
    "bpm": 0.4,
    "meter": 0.5,
    "room": 0.5,
    "texture": 0.6,
}
_AT_MOST = {"style": 2, "instrument": 3, "feature": 2, "mood": 2}
# Synonyms of one sound, by a name that no other sound shares a word with.
_SAME_SOUND = {
    "fiddle": "violin",
    "voices": "choir",
    "choral": "choir",
    "vocal oohs": "choir",
    "vibes": "vibraphone",
    "sax": "saxophone",
    "rhodes": "electric piano",
    "horns": "brass",
    "bandoneon": "accordion",
    "string orchestra": "strings",
    "pads": "pad",
    "slow pads": "pad",
    "soft pads": "pad",
    "synth pads": "pad",
    "double bass": "doublebass",
    "upright bass": "doublebass",
    "acoustic bass": "doublebass",
    "bass guitar": "bassguitar",
    "electric bass": "bassguitar",
    "picked bass": "bassguitar",
    "slap bass": "bassguitar",
    "funk bass": "bassguitar",
    "deep synth bass": "synthbass",
    "synth bass": "synthbass",
}
_EVERYWHERE = frozenset(
    {"in", "and", "music", "synth", "bass", "band", "slow", "fast", "drums", "beat", "rhythm"}
)
_PLAIN = frozenset({"drums", "no drums", "percussion", "pads", "strings", "voices", "bells"})


def window_caption(
    shard: Shard, first_frame: int, num_frames: int, rng: np.random.Generator
) -> str:
    """Describe a window by some of its attributes, in one of many wordings; "" without any."""
    attributes = window_attributes(shard, first_frame, num_frames)
    return vary(attributes, rng) if attributes else ""


def full_window_caption(shard: Shard, first_frame: int, num_frames: int) -> str:
    """Describe a window by all its attributes in a fixed wording, most specific first."""
    attributes = window_attributes(shard, first_frame, num_frames)
    order = ("style", *_PLAYERS, "texture", "tempo", "bpm", "loudness", "mood", "drums")
    rank = {kind: place for place, kind in enumerate(order)}
    ordered = sorted(attributes, key=lambda item: (rank.get(item.kind, 99), -item.weight))
    return ", ".join(_plain(item) for item in _within_limits(ordered))


def split_captions(
    corpus: TokenCorpus,
    split: str,
    count: int,
    *,
    frames: int,
    package: str | None = None,
    seed: int | None = None,
) -> list[str]:
    """Return captions of windows spread evenly over a split; windows without
    attributes have none.

    Args:
        corpus: token shards.
        split: of its tracks.
        count: windows.
        frames: length of each.
        package: only tracks from there.
        seed: of the random wordings of training; None lists all attributes in a fixed one.

    Raises:
        DataError: if no track is long enough.
    """
    shards = [one for one in corpus.split(split) if package is None or one.package == package]
    windows = WindowSampler(corpus, shards, frames).spread(count)
    rng = np.random.default_rng(seed)
    phrases = [
        full_window_caption(shard, first, frames)
        if seed is None
        else window_caption(shard, first, frames, rng)
        for shard, first in zip(windows.shards, windows.first_frames, strict=True)
    ]
    return [caption for caption in phrases if caption]


def vary(attributes: Sequence[Attribute], rng: np.random.Generator) -> str:
    """Describe some of the attributes (at least one) in one of several forms."""
    form = _FORMS[int(rng.choice(len(_FORMS), p=_FORM_SHARES))]
    chosen = _chosen(attributes, rng)
    if form == "word":
        specific = [
            item
            for item in chosen
            if item.kind not in _UNSPECIFIC and item.word not in ("solo", "no drums")
        ]
        specific = specific or chosen
        caption = _phrased(specific[0], rng)
    elif form == "key words":
        caption = _key_words(chosen, rng)
    elif form == "phrase":
        caption = _phrase(chosen, rng)
    else:
        caption = _sentences(chosen, rng)
    if form != "sentences" and rng.random() < _REQUEST_SHARE:
        caption = _one(_REQUESTS, rng).format(caption)
    return caption if rng.random() < 0.6 else caption.lower()


def _chosen(attributes: Sequence[Attribute], rng: np.random.Generator) -> list[Attribute]:
    """Drop attributes, doubtful and technical ones more often; shuffle; keep at least one."""
    keep = _KEEP * float(rng.uniform(0.5, 1.3))
    kept = [
        item
        for item, chance in zip(attributes, rng.random(len(attributes)), strict=True)
        if chance < keep * item.weight * _FREQUENCY.get(item.kind, 1.0)
    ]
    kept = kept or [attributes[0]]
    return _within_limits([kept[index] for index in rng.permutation(len(kept))])


def _within_limits(attributes: Sequence[Attribute]) -> list[Attribute]:
    """Keep few of each kind, and one name for each sound ("guitar" or "classical guitar")."""
    kept: list[Attribute] = []
    for item in attributes:
        same_kind = [other for other in kept if other.kind == item.kind]
        if len(same_kind) >= _AT_MOST.get(item.kind, 1):
            continue
        if not any(_same_sound(item.word, other.word) for other in kept):
            kept.append(item)
    return kept


def _same_sound(left: str, right: str) -> bool:
    """Return whether two words name one sound, by a word that both share."""
    first, second = (set(_SAME_SOUND.get(word, word).split()) for word in (left, right))
    return bool(first & second - _EVERYWHERE)


def _phrased(item: Attribute, rng: np.random.Generator) -> str:
    """Return one of the wordings of an attribute."""
    if item.kind == "meter":
        return _one(METERS[item.word], rng)
    if item.kind == "bpm":
        return _one((item.word, item.word.upper(), f"tempo {item.word[:-4]}"), rng)
    return _one(SYNONYMS.get(item.word, (item.word,)), rng)


def _plain(item: Attribute) -> str:
    return (
        METERS[item.word][0] if item.kind == "meter" else SYNONYMS.get(item.word, (item.word,))[0]
    )


def _key_words(attributes: Sequence[Attribute], rng: np.random.Generator) -> str:
    phrases = [_phrased(item, rng) for item in attributes[: int(rng.integers(1, 7))]]
    words = list(dict.fromkeys(phrases))
    simple = len(words) <= 3 and all(word.count(" ") <= 1 and _can_precede(word) for word in words)
    return " ".join(words) if simple and rng.random() < 0.5 else ", ".join(words)


def _phrase(attributes: Sequence[Attribute], rng: np.random.Generator) -> str:
    """Write "a slow, soft piano piece with distant choir, in A minor"."""
    limit = int(rng.integers(2, 8))
    attributes = attributes[:limit]
    noun = _one(_NOUNS, rng)
    before = [_phrased(item, rng) for item in attributes if item.kind in _ADJECTIVES]
    styles = [_phrased(item, rng) for item in attributes if item.kind in ("style", "voice")]
    solo = any(item.word == "solo" and item.kind in ("style", "texture") for item in attributes)
    players = [item for item in attributes if item.kind in _PLAYERS]
    if solo and players:
        styles = [word for word in styles if word != "solo"]
        lead = players.pop(0)
        ways = ("solo {0} {1}", "{0} solo", "solo {0}", "unaccompanied {0}", "{1} for solo {0}")
        core = _one(ways, rng).format(lead.word, noun)
        described = " ".join([*_adjectives(before, rng), *styles[:1], core])
    elif players and rng.random() < 0.3 and players[0].kind == "instrument":
        lead = players.pop(0)
        described = " ".join([*_adjectives(before, rng), lead.word, *styles[:1], noun])
    else:
        named = styles[:2] if styles and styles[-1].endswith("music") else [*styles[:2], noun]
        described = " ".join([*_adjectives(before, rng), *named])
    drums = [_phrased(item, rng) for item in attributes if item.kind == "drums"]
    sounds = [_with_article(_phrased(item, rng), rng) for item in players]
    sounds += [word for word in drums if not word.startswith(("no ", "without"))]
    tail = (
        f" {_one(('with', 'with', 'featuring', 'played by'), rng)} {_listed(sounds)}"
        if sounds
        else ""
    )
    extras = [word for word in drums if word.startswith(("no ", "without"))]
    extras += [_phrased(item, rng) for item in attributes if item.kind in _EXTRAS]
    extras += [f"at {item.word}" for item in attributes if item.kind == "bpm"]
    extras += [f"called {item.word}" for item in attributes if item.kind == "title"]
    article = "" if described.endswith("music") or rng.random() < 0.3 else _article(described)
    return ", ".join([f"{article}{described}{tail}", *extras])


def _sentences(attributes: Sequence[Attribute], rng: np.random.Generator) -> str:
    """Write a description of two to five sentences, each about one kind of attribute."""
    phrases = [sentence for sentence in _one_each(attributes, rng) if sentence]
    count = min(len(phrases), int(rng.integers(2, 6)))
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in phrases[:count])


def _one_each(attributes: Sequence[Attribute], rng: np.random.Generator) -> list[str]:
    def words(*kinds: str) -> list[str]:
        return [_phrased(item, rng) for item in attributes if item.kind in kinds]

    styles = words("style", "voice")
    moods = [word for word in words("mood", "brightness", "density") if _can_precede(word)]
    first = [*moods[:1], *styles[:1]]
    sentences = []
    if first:
        noun = _one(_NOUNS[1:], rng)
        subject = f"{_article(first[0])}{' '.join(first)} {noun}"
        sentences.append(_one((f"this is {subject}", subject), rng))
    players = [_with_article(word, rng) for word in words(*_PLAYERS)]
    if players:
        verb = _one(
            ("it features {}", "{} can be heard", "the sound is made of {}", "we hear {}"), rng
        )
        sentences.append(verb.format(_listed(players)))
    for word in words("tempo"):
        ways = (f"it is {word}", f"it is {_article(word)}{word} piece")
        has = f"it has {_article(word)}{word}"
        sentences.append(has if word.endswith(" tempo") else _one(ways, rng))
    sentences += [f"the tempo is about {item.word}" for item in attributes if item.kind == "bpm"]
    for word in words("loudness"):
        sentences.append(_one((f"the music is {word}", f"it is {word}", f"it sounds {word}"), rng))
    for word in words("drums"):
        plain = word if word.startswith(("no ", "without")) else f"with {word}"
        sentences.append(f"it is {plain}" if not plain.startswith("no ") else f"there are {plain}")
    sentences += [f"it is {word}" for word in words("key", "meter")]
    if len(moods) > 1:
        sentences.append(f"the mood is {moods[1]}")
    sentences += [f"it could be called {word}" for word in words("title")]
    head, rest = sentences[:1], sentences[1:]
    return [*head, *(rest[index] for index in rng.permutation(len(rest)))]


def _adjectives(words: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return the words that can precede a noun; longer words ("with few notes") cannot."""
    fitting = [word for word in words if _can_precede(word)][:3]
    if len(fitting) > 1 and rng.random() < 0.5:
        return [", ".join(fitting)]
    return fitting


def _can_precede(word: str) -> bool:
    """Return whether a word can precede a noun; "with few notes" cannot."""
    return not word.startswith(("with", "in ", "no ", "at ")) and not word.endswith(
        (" notes", "played", " sounding", " tempo")
    )


def _with_article(word: str, rng: np.random.Generator) -> str:
    if (
        word.endswith("s")
        or word in _PLAIN
        or (" " in word and word.endswith(("music", "percussion")))
    ):
        return word
    return word if rng.random() < 0.5 else f"{_article(word)}{word}"


def _article(words: str) -> str:
    return "an " if words[:1].lower() in "aeiou" else "a "


def _listed(words: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _one(words: Sequence[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
