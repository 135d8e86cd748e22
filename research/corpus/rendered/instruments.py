"""General MIDI programs by the names that listeners use, with the range of a melody on each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One sound.

    Attributes:
        key: short name within this package.
        program: General MIDI program, 0 to 127.
        words: what people call it, the usual name first.
        family: the wider word.
        lowest, highest: MIDI pitches of a melody on it.
        sustained: notes hold as long as they are played.
    """

    key: str
    program: int
    words: tuple[str, ...]
    family: str
    lowest: int
    highest: int
    sustained: bool = False


def _made(
    key: str, program: int, words: str, family: str, lowest: int, highest: int, held: int = 0
) -> Instrument:
    return Instrument(
        key=key,
        program=program,
        words=tuple(word.strip() for word in words.split(",")),
        family=family,
        lowest=lowest,
        highest=highest,
        sustained=bool(held),
    )


_TABLE = (
    _made("piano", 0, "piano, grand piano, acoustic piano", "keyboard", 48, 91),
    _made("bright piano", 1, "piano, bright piano", "keyboard", 50, 93),
    _made("honky-tonk", 3, "honky-tonk piano, piano", "keyboard", 55, 91),
    _made("electric piano", 4, "electric piano, rhodes", "keyboard", 52, 88),
    _made("harpsichord", 6, "harpsichord", "keyboard", 53, 86),
    _made("clavinet", 7, "clavinet, clav", "keyboard", 50, 79),
    _made("celesta", 8, "celesta, bells", "tuned percussion", 67, 98),
    _made("music box", 10, "music box", "tuned percussion", 67, 98),
    _made("vibraphone", 11, "vibraphone, vibes", "tuned percussion", 57, 88),
    _made("marimba", 12, "marimba", "tuned percussion", 55, 88),
    _made("xylophone", 13, "xylophone", "tuned percussion", 65, 96),
    _made("bells", 14, "tubular bells, bells", "tuned percussion", 60, 77),
    _made("dulcimer", 15, "dulcimer, hammered dulcimer", "plucked strings", 57, 86),
    _made("hammond", 16, "organ, hammond organ", "organ", 50, 86, 1),
    _made("rock organ", 18, "organ, rock organ", "organ", 50, 84, 1),
    _made("organ", 19, "organ, church organ, pipe organ", "organ", 48, 84, 1),
    _made("accordion", 21, "accordion", "organ", 55, 88, 1),
    _made("harmonica", 22, "harmonica", "organ", 60, 88, 1),
    _made("bandoneon", 23, "bandoneon, accordion", "organ", 55, 86, 1),
    _made("nylon guitar", 24, "classical guitar, nylon guitar, guitar", "plucked strings", 50, 81),
    _made(
        "steel guitar",
        25,
        "acoustic guitar, steel-string guitar, guitar",
        "plucked strings",
        50,
        81,
    ),
    _made("jazz guitar", 26, "jazz guitar, electric guitar, guitar", "plucked strings", 50, 81),
    _made("clean guitar", 27, "electric guitar, clean guitar, guitar", "plucked strings", 50, 84),
    _made("muted guitar", 28, "muted guitar, guitar", "plucked strings", 45, 76),
    _made(
        "overdriven guitar",
        29,
        "electric guitar, overdriven guitar, guitar",
        "plucked strings",
        52,
        86,
        1,
    ),
    _made(
        "distorted guitar",
        30,
        "distorted guitar, electric guitar, guitar",
        "plucked strings",
        52,
        86,
        1,
    ),
    _made("upright bass", 32, "double bass, upright bass, acoustic bass", "bass", 28, 52),
    _made("bass guitar", 33, "bass guitar, electric bass", "bass", 28, 52),
    _made("picked bass", 34, "bass guitar, picked bass", "bass", 28, 52),
    _made("slap bass", 36, "slap bass, funk bass", "bass", 28, 52),
    _made("synth bass", 38, "synth bass", "bass", 28, 52, 1),
    _made("deep synth bass", 39, "synth bass, deep synth bass", "bass", 28, 52, 1),
    _made("violin", 40, "violin", "bowed strings", 57, 93, 1),
    _made("viola", 41, "viola", "bowed strings", 50, 81, 1),
    _made("cello", 42, "cello", "bowed strings", 38, 69, 1),
    _made("pizzicato", 45, "pizzicato strings, strings", "plucked strings", 50, 86),
    _made("harp", 46, "harp", "plucked strings", 48, 91),
    _made("timpani", 47, "timpani", "percussion", 36, 55),
    _made("strings", 48, "strings, string section, string orchestra", "bowed strings", 50, 86, 1),
    _made("slow strings", 49, "strings, soft strings", "bowed strings", 50, 86, 1),
    _made("synth strings", 50, "synth strings, strings", "synth", 50, 86, 1),
    _made("choir", 52, "choir, choir aahs, voices", "voices", 50, 81, 1),
    _made("oohs", 53, "choir, vocal oohs, voices", "voices", 50, 81, 1),
    _made("trumpet", 56, "trumpet", "brass", 55, 84, 1),
    _made("trombone", 57, "trombone", "brass", 43, 70, 1),
    _made("tuba", 58, "tuba", "brass", 30, 53, 1),
    _made("muted trumpet", 59, "muted trumpet, trumpet", "brass", 57, 82, 1),
    _made("french horn", 60, "french horn, horn", "brass", 45, 74, 1),
    _made("brass", 61, "brass, brass section, horns", "brass", 50, 80, 1),
    _made("synth brass", 62, "synth brass", "synth", 50, 82, 1),
    _made("alto sax", 65, "saxophone, alto sax, sax", "woodwind", 52, 81, 1),
    _made("tenor sax", 66, "saxophone, tenor sax, sax", "woodwind", 46, 76, 1),
    _made("oboe", 68, "oboe", "woodwind", 60, 88, 1),
    _made("bassoon", 70, "bassoon", "woodwind", 38, 69, 1),
    _made("clarinet", 71, "clarinet", "woodwind", 52, 86, 1),
    _made("piccolo", 72, "piccolo, whistle", "woodwind", 74, 100, 1),
    _made("flute", 73, "flute", "woodwind", 60, 94, 1),
    _made("recorder", 74, "recorder, flute", "woodwind", 65, 93, 1),
    _made("pan flute", 75, "pan flute, flute", "woodwind", 60, 91, 1),
    _made("whistle", 78, "whistle, tin whistle", "woodwind", 67, 96, 1),
    _made("square lead", 80, "square lead, synth lead, synth", "synth", 55, 93, 1),
    _made("saw lead", 81, "saw lead, synth lead, synth", "synth", 52, 88, 1),
    _made("fifths lead", 86, "synth lead, synth", "synth", 50, 81, 1),
    _made("new age pad", 88, "synth pad, pad, synth", "synth", 50, 84, 1),
    _made("warm pad", 89, "warm pad, synth pad, pads", "synth", 48, 81, 1),
    _made("polysynth", 90, "polysynth, synth", "synth", 52, 84, 1),
    _made("choir pad", 91, "choir pad, pads, distant choir", "voices", 50, 81, 1),
    _made("bowed pad", 92, "glassy pad, synth pad, pads", "synth", 50, 84, 1),
    _made("halo pad", 94, "pads, synth pad, airy pad", "synth", 48, 81, 1),
    _made("sweep pad", 95, "sweeping pad, synth pad, pads", "synth", 48, 81, 1),
    _made("crystal", 98, "crystal bells, synth bells", "synth", 60, 91),
    _made("atmosphere", 99, "atmospheric synth, synth", "synth", 52, 86),
    _made("echoes", 102, "echoing synth, synth", "synth", 50, 81, 1),
    _made("sitar", 104, "sitar", "plucked strings", 50, 79),
    _made("banjo", 105, "banjo", "plucked strings", 52, 81),
    _made("koto", 107, "koto", "plucked strings", 50, 82),
    _made("kalimba", 108, "kalimba", "tuned percussion", 60, 88),
    _made("bagpipes", 109, "bagpipes", "woodwind", 60, 84, 1),
    _made("fiddle", 110, "fiddle, violin", "bowed strings", 55, 91, 1),
    _made("steel drums", 114, "steel drums", "tuned percussion", 57, 84),
)
INSTRUMENTS = {instrument.key: instrument for instrument in _TABLE}
