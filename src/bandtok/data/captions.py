"""What is known of a stretch of music, said in many ways: facts -> a caption.

Real prompts come in every form: a word, a list of key words, a phrase, a description of several
sentences. So captions are made while training, a new one each time a window is drawn: parts
dropped, order shuffled, words exchanged. What is doubtful is said less often; what contradicts
something surer is never said. Authors are left out: a name tells a listener little, and nobody
should be asked for by name. Knows nothing of encoders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.data.caption_templates import METRES, SYNONYMS, opposites_of
from bandtok.data.segments import Segment, transposed_key
from bandtok.data.shards import Shard, TokenCorpus
from bandtok.data.token_windows import WindowSampler

_UNTITLED = re.compile(r"(?:track|song|music|untitled|level|theme)?[\s\d.#-]*", re.IGNORECASE)
_SOFT_DB, _LOUD_DB = -24.5, -14.5
_TITLE_WEIGHT, _STYLE_WEIGHT = 0.25, 0.8
_EDGE_WEIGHT, _CLEAR_WEIGHT, _WEIGHT_PER_DB = 0.5, 0.85, 0.12
# What a piece is for says little of how it sounds.
_PURPOSES = frozenset({"menu", "theme", "soundtrack", "credits", "boss", "victory", "title"})
_PURPOSE_WEIGHT = 0.25
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
_SAYS_LITTLE = frozenset({"texture", "room", "articulation", "key", "metre", "bpm", "density"})
_PLAYERS = ("instrument", "feature")
_OFTEN = {
    "instrument": 1.25,
    "style": 1.1,
    "tempo": 1.2,
    "key": 0.25,
    "bpm": 0.4,
    "metre": 0.5,
    "room": 0.5,
    "texture": 0.6,
}
_MOST = {"style": 2, "instrument": 3, "feature": 2, "mood": 2}
# Names of one sound, by a name that nothing else shares a word with.
_SAME_SOUND = {
    "fiddle": "violin",
    "guidance_branches": "choir",
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
_PLAIN = frozenset(
    {"drums", "no drums", "percussion", "pads", "strings", "guidance_branches", "bells"}
)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing known: its kind (`segments.KINDS`, or loudness, bpm, key, metre, title), the word,
    and how sure it is, above 0 and at most 1."""

    kind: str
    word: str
    weight: float


def window_caption(
    shard: Shard, first_frame: int, num_frames: int, rng: np.random.Generator
) -> str:
    """Say some of what is known of a window, in one of very many wordings; "" if nothing is."""
    facts = window_facts(shard, first_frame, num_frames)
    return vary(facts, rng) if facts else ""


def full_window_caption(shard: Shard, first_frame: int, num_frames: int) -> str:
    """Say all that is known of a window in a fixed wording, most telling first."""
    facts = window_facts(shard, first_frame, num_frames)
    order = ("style", *_PLAYERS, "texture", "tempo", "bpm", "loudness", "mood", "drums")
    rank = {kind: place for place, kind in enumerate(order)}
    chosen = _within_limits(sorted(facts, key=lambda fact: (rank.get(fact.kind, 99), -fact.weight)))
    return ", ".join(_plain(fact) for fact in chosen)


def split_captions(
    corpus: TokenCorpus,
    split: str,
    count: int,
    *,
    frames: int,
    package: str | None = None,
    seed: int | None = None,
) -> list[str]:
    """Return captions of windows spread evenly over a split; windows of which nothing is known
    have none.

    Args:
        corpus: token shards.
        split: of its tracks.
        count: windows.
        frames: length of each.
        package: only tracks from there.
        seed: draws the wordings of training; None says all that is known in a fixed one.

    Raises:
        DataError: if no track is long enough.
    """
    shards = [one for one in corpus.split(split) if package is None or one.package == package]
    windows = WindowSampler(corpus, shards, frames).spread(count)
    rng = np.random.default_rng(seed)
    said = [
        full_window_caption(shard, first, frames)
        if seed is None
        else window_caption(shard, first, frames, rng)
        for shard, first in zip(windows.shards, windows.first_frames, strict=True)
    ]
    return [caption for caption in said if caption]


def window_facts(shard: Shard, first_frame: int, num_frames: int) -> list[Fact]:
    """Return what is known of the window's music, surest first, without contradictions."""
    segment = shard.segment_at(first_frame, num_frames)
    facts = [
        Fact(kind="style", word=word, weight=_style_weight(word, place))
        for place, word in enumerate(shard.style)
    ]
    title = clean_title(shard.title)
    if title:
        facts.append(Fact(kind="title", word=title, weight=_TITLE_WEIGHT))
    if segment is not None:
        facts = [*_segment_facts(segment, shard), *facts]
    return consistent(facts)


def consistent(facts: Iterable[Fact]) -> list[Fact]:
    """Return the facts surest first, without those that contradict or repeat a surer one."""
    kept: list[Fact] = []
    for fact in sorted(facts, key=lambda fact: -fact.weight):
        ruled_out = opposites_of(fact.word)
        if all(other.word not in ruled_out and other.word != fact.word for other in kept):
            kept.append(fact)
    return kept


def vary(facts: Sequence[Fact], rng: np.random.Generator) -> str:
    """Put some of the facts (at least one) into one of several forms."""
    form = _FORMS[int(rng.choice(len(_FORMS), p=_FORM_SHARES))]
    chosen = _chosen(facts, rng)
    if form == "word":
        telling = [
            fact
            for fact in chosen
            if fact.kind not in _SAYS_LITTLE and fact.word not in ("solo", "no drums")
        ]
        telling = telling or chosen
        caption = _said(telling[0], rng)
    elif form == "key words":
        caption = _key_words(chosen, rng)
    elif form == "phrase":
        caption = _phrase(chosen, rng)
    else:
        caption = _sentences(chosen, rng)
    if form != "sentences" and rng.random() < _REQUEST_SHARE:
        caption = _one(_REQUESTS, rng).format(caption)
    return caption if rng.random() < 0.6 else caption.lower()


def clean_title(title: str) -> str:
    """Return the title in one line, or "" if it says nothing ("Track 07")."""
    title = " ".join(title.replace("_", " ").split())
    return "" if _UNTITLED.fullmatch(title) else title


def _segment_facts(segment: Segment, shard: Shard) -> list[Fact]:
    """Return what the segment says, at the level, speed and pitch of the shard."""
    facts = [
        Fact(kind=kind, word=word, weight=weight)
        for kind, words in segment.words.items()
        for word, weight in words.items()
    ]
    if segment.bpm:
        bpm = f"{segment.bpm * shard.speed:.0f} bpm"
        facts.append(Fact(kind="bpm", word=bpm, weight=segment.bpm_weight))
    if segment.key:
        key = transposed_key(segment.key, shard.semitones)
        facts.append(Fact(kind="key", word=f"in {key}", weight=segment.key_weight))
    if segment.metre in METRES:
        weight = 0.35 if segment.metre == "4/4" else 0.9
        facts.append(Fact(kind="metre", word=segment.metre, weight=weight))
    if segment.loudness_db is not None:
        facts += _loudness(segment.loudness_db + shard.gain_db)
    return [fact for fact in facts if fact.weight > 0]


def _loudness(level_db: float) -> list[Fact]:
    """Return "soft" or "loud", surer the clearer it is, or nothing in between."""
    for word, beyond in (("soft", _SOFT_DB - level_db), ("loud", level_db - _LOUD_DB)):
        if beyond > 0:
            weight = min(_CLEAR_WEIGHT, _EDGE_WEIGHT + _WEIGHT_PER_DB * beyond)
            return [Fact(kind="loudness", word=word, weight=weight)]
    return []


def _style_weight(word: str, place: int) -> float:
    return _PURPOSE_WEIGHT if word in _PURPOSES else _STYLE_WEIGHT - 0.05 * min(place, 6)


def _chosen(facts: Sequence[Fact], rng: np.random.Generator) -> list[Fact]:
    """Drop facts, the doubtful and the technical ones more often; shuffle; keep at least one."""
    keep = _KEEP * float(rng.uniform(0.5, 1.3))
    kept = [
        fact
        for fact, chance in zip(facts, rng.random(len(facts)), strict=True)
        if chance < keep * fact.weight * _OFTEN.get(fact.kind, 1.0)
    ]
    kept = kept or [facts[0]]
    return _within_limits([kept[index] for index in rng.permutation(len(kept))])


def _within_limits(facts: Sequence[Fact]) -> list[Fact]:
    """Keep few of each kind, and one name for each sound ("guitar" or "classical guitar")."""
    kept: list[Fact] = []
    for fact in facts:
        same_kind = [other for other in kept if other.kind == fact.kind]
        if len(same_kind) >= _MOST.get(fact.kind, 1):
            continue
        if not any(_same_sound(fact.word, other.word) for other in kept):
            kept.append(fact)
    return kept


def _same_sound(left: str, right: str) -> bool:
    """Say whether two words name one sound, by a word that both share."""
    first, second = (set(_SAME_SOUND.get(word, word).split()) for word in (left, right))
    return bool(first & second - _EVERYWHERE)


def _said(fact: Fact, rng: np.random.Generator) -> str:
    """Return one of the ways to say a fact."""
    if fact.kind == "metre":
        return _one(METRES[fact.word], rng)
    if fact.kind == "bpm":
        return _one((fact.word, fact.word.upper(), f"tempo {fact.word[:-4]}"), rng)
    return _one(SYNONYMS.get(fact.word, (fact.word,)), rng)


def _plain(fact: Fact) -> str:
    return (
        METRES[fact.word][0] if fact.kind == "metre" else SYNONYMS.get(fact.word, (fact.word,))[0]
    )


def _key_words(facts: Sequence[Fact], rng: np.random.Generator) -> str:
    said = [_said(fact, rng) for fact in facts[: int(rng.integers(1, 7))]]
    words = list(dict.fromkeys(said))
    simple = len(words) <= 3 and all(
        word.count(" ") <= 1 and _stands_before(word) for word in words
    )
    return " ".join(words) if simple and rng.random() < 0.5 else ", ".join(words)


def _phrase(facts: Sequence[Fact], rng: np.random.Generator) -> str:
    """Write "a slow, soft piano piece with distant choir, in A minor"."""
    limit = int(rng.integers(2, 8))
    facts = facts[:limit]
    noun = _one(_NOUNS, rng)
    before = [_said(fact, rng) for fact in facts if fact.kind in _ADJECTIVES]
    styles = [_said(fact, rng) for fact in facts if fact.kind in ("style", "voice")]
    solo = [fact for fact in facts if fact.word == "solo" and fact.kind in ("style", "texture")]
    players = [fact for fact in facts if fact.kind in _PLAYERS]
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
    drums = [_said(fact, rng) for fact in facts if fact.kind == "drums"]
    played = [_with_article(_said(fact, rng), rng) for fact in players]
    played += [word for word in drums if not word.startswith(("no ", "without"))]
    tail = (
        f" {_one(('with', 'with', 'featuring', 'played by'), rng)} {_listed(played)}"
        if played
        else ""
    )
    extras = [word for word in drums if word.startswith(("no ", "without"))]
    extras += [_said(fact, rng) for fact in facts if fact.kind in ("key", "metre", "articulation")]
    extras += [f"at {fact.word}" for fact in facts if fact.kind == "bpm"]
    extras += [f"called {fact.word}" for fact in facts if fact.kind == "title"]
    article = "" if described.endswith("music") or rng.random() < 0.3 else _article(described)
    return ", ".join([f"{article}{described}{tail}", *extras])


def _sentences(facts: Sequence[Fact], rng: np.random.Generator) -> str:
    """Write a description of two to five sentences, each about one kind of fact."""
    said = [sentence for sentence in _one_each(facts, rng) if sentence]
    count = min(len(said), int(rng.integers(2, 6)))
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in said[:count])


def _one_each(facts: Sequence[Fact], rng: np.random.Generator) -> list[str]:
    def words(*kinds: str) -> list[str]:
        return [_said(fact, rng) for fact in facts if fact.kind in kinds]

    styles = words("style", "voice")
    moods = [word for word in words("mood", "brightness", "density") if _stands_before(word)]
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
    sentences += [f"the tempo is about {fact.word}" for fact in facts if fact.kind == "bpm"]
    for word in words("loudness"):
        sentences.append(_one((f"the music is {word}", f"it is {word}", f"it sounds {word}"), rng))
    for word in words("drums"):
        plain = word if word.startswith(("no ", "without")) else f"with {word}"
        sentences.append(f"it is {plain}" if not plain.startswith("no ") else f"there are {plain}")
    sentences += [f"it is {word}" for word in words("key", "metre")]
    if len(moods) > 1:
        sentences.append(f"the mood is {moods[1]}")
    sentences += [f"it could be called {word}" for word in words("title")]
    head, rest = sentences[:1], sentences[1:]
    return [*head, *(rest[index] for index in rng.permutation(len(rest)))]


def _adjectives(words: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return what can stand before a noun; longer words ("with few notes") cannot."""
    fitting = [word for word in words if _stands_before(word)][:3]
    if len(fitting) > 1 and rng.random() < 0.5:
        return [", ".join(fitting)]
    return fitting


def _stands_before(word: str) -> bool:
    """Say whether a word can stand before a noun; "with few notes" cannot."""
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
