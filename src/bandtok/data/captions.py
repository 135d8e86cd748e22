"""What is known of a track, said in many ways: title and style words -> short descriptions.

Real prompts come in every form, and a corpus this small would be learned by its wording, so each
track gets several captions: parts dropped, words shuffled, sentences varied. Authors are left out:
a name tells a listener little, and nobody should be asked for by name. Knows nothing of encoders.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_NOUNS = ("music", "piece", "track", "tune", "instrumental")
_PLAIN_NOUN = "music"
_KEEP_STYLE_WORD, _KEEP_TITLE, _SHUFFLE = 0.7, 0.4, 0.3
_UNTITLED = re.compile(r"(?:track|song|music|untitled|level|theme)?[\s\d.#-]*", re.IGNORECASE)


def caption_variants(title: str, style: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Write `count` captions of one track, some of which may be equal.

    The first is the full one: every style word and the title in a fixed wording. The rest depend
    only on the arguments.

    Args:
        title: of the track; "" if unknown.
        style: style words, most certain first.
        count: captions wanted, at least 1.
        seed: of the variation.
    """
    draw = random.Random(f"{seed}|{title}|{'|'.join(style)}")
    varied = [vary_caption(title, style, draw) for _ in range(count - 1)]
    return [full_caption(title, style), *varied]


def full_caption(title: str, style: Sequence[str]) -> str:
    """Say all that is known: "dark ambient music, Nuclear Heartbeat"; "" if nothing is."""
    described = " ".join([*style, _PLAIN_NOUN]) if style else ""
    return ", ".join(part for part in (described, clean_title(title)) if part)


def vary_caption(title: str, style: Sequence[str], draw: random.Random) -> str:
    """Say some of what is known, in one of several wordings."""
    title = clean_title(title)
    words = [word for word in style if draw.random() < _KEEP_STYLE_WORD]
    use_title = bool(title) and draw.random() < _KEEP_TITLE
    if not words and not use_title:
        words = list(style[:1])
        use_title = not words and bool(title)
    if draw.random() < _SHUFFLE:
        draw.shuffle(words)
    caption = _style_phrase(words, draw) if words else ""
    if use_title:
        caption = _with_title(caption, title, draw)
    return caption if draw.random() < 0.5 else caption.lower()


def clean_title(title: str) -> str:
    """Return the title in one line, or "" if it says nothing ("Track 07")."""
    title = " ".join(title.replace("_", " ").split())
    return "" if _UNTITLED.fullmatch(title) else title


def _style_phrase(words: Sequence[str], draw: random.Random) -> str:
    noun = draw.choice(_NOUNS)
    joined = " ".join(words)
    article = "" if noun in ("music",) else ("an " if joined[0] in "aeiou" else "a ")
    return draw.choice(
        (
            ", ".join(words),
            joined,
            f"{joined} {_PLAIN_NOUN}",
            f"{article}{joined} {noun}",
            f"{_PLAIN_NOUN} that is {_listed(words)}",
        )
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _with_title(caption: str, title: str, draw: random.Random) -> str:
    if not caption:
        return draw.choice((title, f"music called {title}", f"{title} theme"))
    return draw.choice((f"{caption}, {title}", f"{title}: {caption}", f"{caption} called {title}"))
