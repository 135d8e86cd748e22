"""ABC notation to tunes: bars of notes in one meter, with key and mode.

Reads the single-voice part of the notation that collections of dance tunes use; a tune with
anything else in it (several voices, changes of key or meter) is left out. Knows no sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

_TOKEN = re.compile(
    r"""(?P<quoted>"[^"]*"|![^!]*!|\{[^}]*\})
      | (?P<field>\[[A-Za-z]:[^\]]*\])
      | (?P<ending>(?:\|\s*|:\|\s*|\[)(?P<number>[12])(?![\d/]))
      | (?P<bar>:*\|+\]?:*|\[\||::)
      | (?P<tuplet>\((?P<tuple_size>[2-9]))
      | (?P<chord>\[[^\]|:]*\])(?P<chord_length>\d*/*\d*)
      | (?P<note>(?P<accidental>\^{1,2}|_{1,2}|=)?(?P<letter>[A-Ga-gzx])(?P<octave>[,']*))
        (?P<length>\d*/*\d*)
      | (?P<tie>-)
      | (?P<broken>>+|<+)
    """,
    re.VERBOSE,
)
_NOTE_IN_CHORD = re.compile(r"(\^{1,2}|_{1,2}|=)?([A-Ga-g])([,']*)(\d*/*\d*)")
_SEMITONES = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))
_SHARPS = dict(zip("FCGDAEB", (-1, 0, 1, 2, 3, 4, 5), strict=True))
_MODES = {"maj": 0, "ion": 0, "": 0, "mix": -1, "dor": -2, "min": -3, "m": -3, "aeo": -3}
_MINOR = frozenset({"dor", "min", "m", "aeo"})
_TUPLET_LENGTH = {2: Fraction(3, 2), 3: Fraction(2, 3), 4: Fraction(3, 4)}
_METERS = {"C": "4/4", "C|": "4/4", "2/2": "4/4"}
_FULL_BARS = 0.8


@dataclass(frozen=True, kw_only=True)
class TuneNote:
    """A note of a bar: `start` and `length` in quarter notes, MIDI `pitch`."""

    start: Fraction
    length: Fraction
    pitch: int


@dataclass(frozen=True, kw_only=True)
class Tune:
    """A melody.

    Attributes:
        title: as printed.
        source: collection and number; the same tune again has the same.
        meter: "4/4", "3/4", "6/8" ...
        tonic: pitch class, 0 for C.
        minor: whether the third above the tonic is minor.
        bars: notes of each bar, repeats written out; every bar is `bar_quarters` long.
    """

    title: str
    source: str
    meter: str
    tonic: int
    minor: bool
    bars: tuple[tuple[TuneNote, ...], ...]

    @property
    def bar_quarters(self) -> Fraction:
        beats, unit = self.meter.split("/")
        return Fraction(4 * int(beats), int(unit))


@dataclass(kw_only=True)
class _Bar:
    notes: list[TuneNote] = field(default_factory=list)
    length: Fraction = Fraction(0)
    begins_repeat: bool = False
    ends_repeat: bool = False
    ending: int = 0


def split_tunes(text: str) -> list[str]:
    """Return the text of each tune of an ABC file."""
    return re.split(r"^(?=X:)", text, flags=re.MULTILINE)[1:]


def read_tune(block: str, source: str) -> Tune | None:
    """Read one tune of an ABC file, from its X: line on; None if it is not understood."""
    headers, body = _headers_and_body(block)
    meter = _METERS.get(headers.get("M", ""), headers.get("M", ""))
    key = _key(headers.get("K", ""))
    unit = re.fullmatch(r"1/(4|8|16)", headers.get("L", "1/8"))
    if not (re.fullmatch(r"[23469]/[48]|12/8", meter) and key and unit and body):
        return None
    tonic, minor, sharps = key
    reader = _BodyReader(Fraction(4, int(unit[1])), sharps)
    bars = reader.read(body)
    if bars is None:
        return None
    beats, denominator = meter.split("/")
    whole = Fraction(4 * int(beats), int(denominator))
    fitted = _fit(_unroll(bars), whole)
    if fitted is None:
        return None
    if meter == "2/4":  # two bars of 2/4 are one of 4/4 to every listener
        meter, fitted = "4/4", _joined(fitted, whole, 2 if unit[1] == "16" else 1)
    title = " ".join(headers.get("T", "").split()).rstrip(".")
    return Tune(
        title=title, source=source, meter=meter, tonic=tonic, minor=minor, bars=tuple(fitted)
    )


def _headers_and_body(block: str) -> tuple[dict[str, str], str]:
    headers: dict[str, str] = {}
    lines = block.replace("\r", "").split("\n")
    for index, line in enumerate(lines):
        match = re.match(r"([A-Z]):\s*(.*?)\s*$", line)
        if match:
            headers.setdefault(match[1], re.sub(r"\s*%.*", "", match[2]))
            if match[1] == "K":
                return headers, _body(lines[index + 1 :])
    return headers, ""


def _body(lines: list[str]) -> str:
    """Return the music alone, or "" if a line changes voice, key or meter."""
    kept = []
    for line in lines:
        if not line.strip():
            break
        if re.match(r"[KMLVP]:", line) or "[V:" in line:
            if line.startswith("P:"):
                continue
            return ""
        if not re.match(r"[A-Za-z]:|%", line):
            kept.append(re.sub(r"%.*|\\\s*$", "", line))
    return " ".join(kept)


def _key(text: str) -> tuple[int, bool, int] | None:
    """Read "A Dorian" as (tonic, minor, sharps of the signature)."""
    match = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", text)
    if not match:
        return None
    mode = match[3].lower()
    mode = "m" if mode == "m" else mode[:3]
    if mode not in _MODES:
        return None
    shift = {"#": 1, "b": -1, "": 0}[match[2]]
    tonic = (_SEMITONES[match[1]] + shift) % 12
    return tonic, mode in _MINOR, _SHARPS[match[1]] + 7 * shift + _MODES[mode]


class _BodyReader:
    """Music of one tune to bars."""

    def __init__(self, unit: Fraction, sharps: int) -> None:
        self._unit = unit
        order = "FCGDAEB"
        sharp, flat = order[: max(sharps, 0)], order[::-1][: max(-sharps, 0)]
        self._signature = {letter: (letter in sharp) - (letter in flat) for letter in order}

    def read(self, body: str) -> list[_Bar] | None:
        """Return the bars as written, or None if something in them is not understood."""
        self._bars = [_Bar()]
        self._accidentals: dict[str, int] = {}
        self._stretch, self._tuplet_left = Fraction(1), 0
        self._next_factor, self._tied = Fraction(1), False
        for match in _TOKEN.finditer(body):
            if match["field"] or (match["tuplet"] and int(match["tuple_size"]) > 4):
                return None
            if match["ending"]:
                self._new_bar(match["ending"])
                self._bars[-1].ending = int(match["number"])
            elif match["bar"]:
                self._new_bar(match["bar"])
            elif match["tuplet"]:
                self._tuplet_left = int(match["tuple_size"])
                self._stretch = _TUPLET_LENGTH[self._tuplet_left]
            elif match["chord"] and not self._chord(match["chord"], match["chord_length"]):
                return None
            elif match["note"]:
                self._note(match)
            elif match["tie"]:
                self._tied = True
            elif match["broken"]:
                self._broken(match["broken"])
        return [bar for bar in self._bars if bar.length]

    def _new_bar(self, sign: str) -> None:
        self._accidentals = {}
        ends = sign.startswith(":")
        begins = sign.rstrip("12 ").endswith(":")
        if ends and self._bars[-1].length:
            self._bars[-1].ends_repeat = True
        elif ends and len(self._bars) > 1:
            self._bars[-2].ends_repeat = True
        ending = 0
        if self._bars[-1].length:
            last = self._bars[-1]
            if last.ending and not last.ends_repeat and "||" not in sign and "]" not in sign:
                ending = last.ending
            self._bars.append(_Bar(ending=ending))
        if begins:
            self._bars[-1].begins_repeat = True

    def _chord(self, text: str, length: str) -> bool:
        notes = _NOTE_IN_CHORD.findall(text)
        if not notes:
            return text.startswith("[")
        pitch = max(
            self._pitch(accidental, letter, octave) for accidental, letter, octave, _ in notes
        )
        self._append(pitch, _length(length or notes[0][3]))
        return True

    def _note(self, match: re.Match[str]) -> None:
        rest = match["letter"] in "zx"
        pitch = None if rest else self._pitch(match["accidental"], match["letter"], match["octave"])
        self._append(pitch, _length(match["length"]))

    def _pitch(self, accidental: str | None, letter: str, octave: str) -> int:
        upper = letter.upper()
        place = f"{letter}{octave}"
        if accidental:
            self._accidentals[place] = {"^": 1, "_": -1, "=": 0}[accidental[0]] * len(accidental)
        alter = self._accidentals.get(place, self._signature[upper])
        height = 12 * (octave.count("'") - octave.count(",") + (letter != upper))
        return 60 + _SEMITONES[upper] + alter + height

    def _append(self, pitch: int | None, length: Fraction) -> None:
        bar = self._bars[-1]
        length *= self._unit * self._stretch * self._next_factor
        self._next_factor = Fraction(1)
        self._tuplet_left -= 1
        if self._tuplet_left <= 0:
            self._stretch = Fraction(1)
        if pitch is not None:
            last = bar.notes[-1] if bar.notes else None
            if self._tied and last and last.pitch == pitch:
                bar.notes[-1] = TuneNote(start=last.start, length=last.length + length, pitch=pitch)
            else:
                bar.notes.append(TuneNote(start=bar.length, length=length, pitch=pitch))
        self._tied = False
        bar.length += length

    def _broken(self, sign: str) -> None:
        """Lengthen the last note and shorten the next one (or the other way about for "<")."""
        part = Fraction(1, 2 ** len(sign))
        here = 2 - part if sign[0] == ">" else part
        bar = self._bars[-1]
        if not bar.notes:
            return
        last = bar.notes[-1]
        if last.start + last.length == bar.length:
            bar.notes[-1] = TuneNote(start=last.start, length=last.length * here, pitch=last.pitch)
            bar.length = last.start + last.length * here
            self._next_factor = 2 - here


def _length(text: str) -> Fraction:
    match = re.fullmatch(r"(\d*)(/*)(\d*)", text)
    assert match is not None
    below = int(match[3]) if match[3] else 2 ** len(match[2])
    return Fraction(int(match[1] or 1), max(below, 1))


def _unroll(bars: list[_Bar]) -> Iterator[_Bar]:
    """Write repeats out, each once."""
    index, start, second = 0, 0, False
    while index < len(bars):
        bar = bars[index]
        if bar.begins_repeat and not second:
            start = index
        if second and bar.ending == 1:
            index, second = index + 1, not bar.ends_repeat
            start = index
            continue
        yield bar
        if bar.ends_repeat and not second:
            index, second = start, True
        else:
            if bar.ends_repeat:
                start, second = index + 1, False
            index += 1


def _fit(bars: Iterator[_Bar], whole: Fraction) -> list[tuple[TuneNote, ...]] | None:
    """Join upbeats with the short bars before them; None unless most bars are full."""
    fitted: list[tuple[TuneNote, ...]] = []
    held: _Bar | None = None
    odd = 0
    for bar in bars:
        if held is not None:
            if held.length + bar.length == whole:
                fitted.append(_after(held.notes, bar.notes, held.length))
                held = None
                continue
            odd += bool(fitted)
            late = whole - held.length if not fitted else Fraction(0)
            fitted.append(_after([], held.notes, late))
            held = None
        if bar.length == whole:
            fitted.append(tuple(bar.notes))
        elif bar.length < whole:
            held = bar
        else:
            odd += 1
    if held is not None:
        fitted.append(tuple(held.notes))
    if len(fitted) < 8 or odd > (1 - _FULL_BARS) * len(fitted):
        return None
    return fitted


def _after(first: list[TuneNote], then: list[TuneNote], start: Fraction) -> tuple[TuneNote, ...]:
    moved = [
        TuneNote(start=note.start + start, length=note.length, pitch=note.pitch) for note in then
    ]
    return (*first, *moved)


def _joined(
    bars: list[tuple[TuneNote, ...]], whole: Fraction, stretch: int
) -> list[tuple[TuneNote, ...]]:
    """Make bars of 4/4 of bars of 2/4: twice as long where written in sixteenths, else in pairs."""
    if stretch == 2:
        return [
            tuple(
                TuneNote(start=2 * note.start, length=2 * note.length, pitch=note.pitch)
                for note in bar
            )
            for bar in bars
        ]
    pairs = zip(bars[::2], bars[1::2], strict=False)
    return [_after(list(first), list(second), whole) for first, second in pairs]
