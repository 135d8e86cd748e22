"""Drum beats and accompaniment rhythms by name, on a raster of sixteenth notes.

A rhythm is one bar of 4/4 (16 places), 3/4 or 6/8 (12 places); X is an accent, x a normal and o a
quiet stroke, a dot nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

KICK, RIM, SNARE, CLAP, CLOSED_HAT, PEDAL_HAT, OPEN_HAT = 36, 37, 38, 39, 42, 44, 46
LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE, TAMBOURINE, COWBELL = 41, 47, 50, 49, 51, 54, 56
HIGH_BONGO, LOW_BONGO, MUTE_CONGA, OPEN_CONGA, LOW_CONGA = 60, 61, 62, 63, 64
SHAKER, CLAVES, TRIANGLE, ELECTRIC_SNARE, BRUSH = 70, 75, 81, 40, 40
STROKES = {"X": 1.0, "x": 0.82, "o": 0.5}

Beat = Mapping[int, str]
BEATS: Mapping[str, Beat] = {
    "rock": {
        KICK: "X.......X.x.....",
        SNARE: "....X.......X...",
        CLOSED_HAT: "X.x.X.x.X.x.X.x.",
    },
    "rock driving": {
        KICK: "X.x.....X.x...x.",
        SNARE: "....X.......X..o",
        OPEN_HAT: "X...X...X...X...",
        CLOSED_HAT: "..x...x...x...x.",
    },
    "punk": {
        KICK: "X...x...X...x...",
        SNARE: "..X...X...X...X.",
        OPEN_HAT: "X.X.X.X.X.X.X.X.",
    },
    "double kick": {
        KICK: "XxxxXxxxXxxxXxxx",
        SNARE: "....X.......X...",
        CRASH: "X...............",
        RIDE: "X...X...X...X...",
    },
    "metal gallop": {
        KICK: "X.xxX.xxX.xxX.xx",
        SNARE: "....X.......X...",
        OPEN_HAT: "X...X...X...X...",
    },
    "four on the floor": {
        KICK: "X...X...X...X...",
        CLAP: "....x.......x...",
        OPEN_HAT: "..X...X...X...X.",
        CLOSED_HAT: "o..oo..oo..oo..o",
    },
    "techno": {
        KICK: "X...X...X...X...",
        CLOSED_HAT: "..x...x...x...x.",
        RIM: "...o..o....o..o.",
        SHAKER: "oooooooooooooooo",
    },
    "breakbeat": {
        KICK: "X.........X.....",
        SNARE: "....X..o.o..X..o",
        CLOSED_HAT: "x.x.x.x.x.x.x.x.",
    },
    "breakbeat busy": {
        KICK: "X.x.......X.....",
        SNARE: "....X..o.o..X...",
        RIDE: "x.x.x.x.x.x.x.x.",
        CLOSED_HAT: ".o.o.o.o.o.o.o.o",
    },
    "pop": {
        KICK: "X......xX.......",
        SNARE: "....X.......X...",
        CLOSED_HAT: "x.x.x.x.x.x.x.x.",
        TAMBOURINE: "....o.......o...",
    },
    "ballad": {
        KICK: "X.........x.....",
        RIM: "....x.......x...",
        CLOSED_HAT: "x...o...x...o...",
    },
    "slow beat": {
        KICK: "X.....x...x.....",
        SNARE: "....X.......X...",
        CLOSED_HAT: "x.o.x.o.x.oox.o.",
    },
    "funk": {
        KICK: "X..x......x..x..",
        SNARE: "....X..o.o..X..o",
        CLOSED_HAT: "xoxoxoxoxoxoxoxo",
        OPEN_HAT: "..............x.",
    },
    "disco": {
        KICK: "X...X...X...X...",
        SNARE: "....X.......X...",
        OPEN_HAT: "..X...X...X...X.",
        TAMBOURINE: "o.o.o.o.o.o.o.o.",
    },
    "swing": {
        RIDE: "X...x.x.X...x.x.",
        PEDAL_HAT: "....x.......x...",
        KICK: "o.......o.......",
        SNARE: "......o.........",
    },
    "train beat": {
        KICK: "x...x...x...x...",
        SNARE: "o.o.X.o.o.o.X.o.",
    },
    "country": {
        KICK: "X.......X.......",
        RIM: "....X.......X...",
        CLOSED_HAT: "x.x.x.x.x.x.x.x.",
    },
    "bossa nova": {
        KICK: "X..xX..xX..xX..x",
        RIM: "x..x..x...x..x..",
        SHAKER: "xoxoxoxoxoxoxoxo",
    },
    "reggae": {
        KICK: "........X.......",
        RIM: "........X.......",
        CLOSED_HAT: "x.x.x.x.x.x.x.x.",
    },
    "latin": {
        CLAVES: "x..x..x...x.x...",
        OPEN_CONGA: "......x.......x.",
        MUTE_CONGA: "x...x...x...x...",
        LOW_CONGA: "............x...",
        COWBELL: "x...o...x...o...",
        KICK: "X.......X.......",
    },
    "hand drums": {
        HIGH_BONGO: "X.ox.ox.X.ox.oxo",
        LOW_BONGO: "...o...x...o....",
        LOW_CONGA: "X.......x.......",
    },
    "tribal": {
        LOW_TOM: "X..x..x.X..x..x.",
        MID_TOM: "....x......x..x.",
        HIGH_TOM: "......o.......oo",
        KICK: "X.......X.......",
        SHAKER: "x.x.x.x.x.x.x.x.",
    },
    "march": {
        SNARE: "X.xxX.xxX.xxXxxx",
        KICK: "X.......X.......",
    },
    "bodhran": {
        LOW_TOM: "X..ox..oX..ox..o",
        SHAKER: "x.x.x.x.x.x.x.x.",
    },
    "chip noise": {
        KICK: "X.......X.......",
        ELECTRIC_SNARE: "....X.......X...",
        CLOSED_HAT: "x.x.x.x.x.x.x.x.",
    },
}
BEATS_IN_THREE: Mapping[str, Beat] = {
    "waltz": {
        KICK: "X...........",
        RIM: "....x...x...",
        CLOSED_HAT: "x...o...o...",
    },
    "jazz waltz": {
        KICK: "o...........",
        RIDE: "X...x.x.x...",
        PEDAL_HAT: "....x.......",
    },
}
BEATS_IN_SIX: Mapping[str, Beat] = {
    "jig": {
        LOW_TOM: "X...o.x...o.",
        SHAKER: "x.o.o.x.o.o.",
    },
    "slow six": {
        KICK: "X...........",
        SNARE: "......X.....",
        CLOSED_HAT: "x.o.o.x.o.o.",
    },
}

COMPS: Mapping[str, Mapping[int, str]] = {
    "held": {16: "X...............", 12: "X..........."},
    "halves": {16: "x.......x.......", 12: "x.....x....."},
    "quarters": {16: "X...x...x...x...", 12: "X...x...x..."},
    "eighths": {16: "X.x.x.x.X.x.x.x.", 12: "X.x.x.x.x.x."},
    "sixteenths": {16: "XoxoXoxoXoxoXoxo", 12: "XoxoXoxoXoxo"},
    "gallop": {16: "X.xxX.xxX.xxX.xx", 12: "X.xxX.xxX.xx"},
    "off beats": {16: "..x...x...x...x.", 12: "..x...x...x."},
    "after beats": {16: "....x.......x...", 12: "....x...x..."},
    "lilt": {16: "x...x.x.x...x.x.", 12: "x...o.x...o."},
    "strum": {16: "X...x.xo.ox.x.xo", 12: "X...x.o.x.o."},
    "waltz": {16: "....x...x...x...", 12: "....x...x..."},
    "charleston": {16: "x.....x.........", 12: "x.....x....."},
    "stabs": {16: "X.........x..X..", 12: "X.....x....."},
    "stabs late": {16: "...X..X.......X.", 12: "...X..X....."},
    "clav": {16: "x..x.ox...x..xo.", 12: "x..x.ox...x."},
    "dance": {16: "x..x..x...x..x..", 12: "x..x..x..x.."},
}
