"""What a synthesiser is given: parts and notes in seconds, written as a Standard MIDI File."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bandtok.errors import DataError

try:
    import mido
except ImportError:  # an optional extra; said when it is needed
    mido = None

DRUM_CHANNEL = 9
_TICKS_PER_SECOND = 960  # 480 a quarter note at the 120 beats a minute that a file begins with
_BEND_CENTS = 200


@dataclass(frozen=True, kw_only=True)
class Part:
    """A player: MIDI `program`, or drum kit of that number; volume 0 to 1, pan -1 to 1."""

    program: int
    drums: bool = False
    volume: float = 1.0
    pan: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Note:
    """`pitch` (MIDI) of part number `part`, from `start` for `length` seconds, velocity 1-127."""

    part: int
    start: float
    length: float
    pitch: int
    velocity: int


@dataclass(frozen=True, kw_only=True)
class Score:
    """Parts and notes; `seconds` long, all of it `tuning_cents` off concert pitch."""

    parts: tuple[Part, ...]
    notes: tuple[Note, ...]
    seconds: float
    tuning_cents: float = 0.0


def save_midi(score: Score, path: Path) -> None:
    """Write a Standard MIDI File.

    Raises:
        DataError: if mido is not installed, or there are more parts than MIDI has channels.
    """
    require_mido()
    channels = _channels(score.parts)
    events = [*_setup(score, channels), *_sounding(score.notes, channels)]
    track = mido.MidiTrack()
    now = 0
    for ticks, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=ticks - now))
        now = ticks
    end = round(score.seconds * _TICKS_PER_SECOND)
    track.append(mido.MetaMessage("end_of_track", time=max(end - now, 0)))
    file = mido.MidiFile(type=0, ticks_per_beat=480)
    file.tracks.append(track)
    file.save(path)


def require_mido() -> None:
    """Raise DataError if mido is not there."""
    if mido is None:
        raise DataError(
            "mido is not installed; expected it for MIDI: pip install 'bandtok[rendered]'"
        )


def _channels(parts: Sequence[Part]) -> list[int]:
    free = iter(channel for channel in range(16) if channel != DRUM_CHANNEL)
    channels = [DRUM_CHANNEL if part.drums else next(free, -1) for part in parts]
    if -1 in channels:
        raise DataError(f"got {len(parts)} parts; expected at most 15 beside the drums")
    return channels


def _setup(score: Score, channels: Sequence[int]) -> list[tuple[int, int, mido.Message]]:
    bend = round(score.tuning_cents / _BEND_CENTS * 8191)
    messages = []
    for part, channel in zip(score.parts, channels, strict=True):
        controls = {7: round(127 * part.volume), 10: round(64 + 63 * part.pan)}
        messages += [
            mido.Message("control_change", channel=channel, control=number, value=value)
            for number, value in controls.items()
        ]
        messages.append(mido.Message("program_change", channel=channel, program=part.program))
        messages.append(mido.Message("pitchwheel", channel=channel, pitch=bend))
    return [(0, -1, message) for message in messages]


def _sounding(
    notes: Sequence[Note], channels: Sequence[int]
) -> list[tuple[int, int, mido.Message]]:
    """Return (ticks, order, message); a pitch that sounds already is ended before it is begun."""
    events = []
    for note in notes:
        channel = channels[note.part]
        start = round(max(note.start, 0.0) * _TICKS_PER_SECOND)
        end = max(round((note.start + note.length) * _TICKS_PER_SECOND), start + 1)
        on = mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)
        off = mido.Message("note_off", channel=channel, note=note.pitch, velocity=64)
        events += [(start, 1, on), (end, 0, off)]
    return events
