"""The styles of the rendered corpus: who plays, what each plays, how fast, how loud.

Data alone; `arrange` reads it. Words are what listeners call such music, surest first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SLOW, MEDIUM, FAST = (50.0, 76.0), (90.0, 116.0), (132.0, 172.0)
TEMPO_CLASSES = {"slow": SLOW, "medium": MEDIUM, "fast": FAST}
SOFT, NORMAL, LOUD = "soft", "normal", "loud"

_SOLOISTS = (
    "piano|piano|bright piano|electric piano|harpsichord|harpsichord|celesta|music box|vibraphone|"
    "marimba|xylophone|dulcimer|hammond|organ|organ|accordion|accordion|harmonica|nylon guitar|"
    "nylon guitar|steel guitar|steel guitar|jazz guitar|clean guitar|overdriven guitar|violin|"
    "violin|viola|cello|cello|harp|harp|choir|choir|trumpet|trombone|tuba|muted trumpet|"
    "french horn|alto sax|tenor sax|oboe|bassoon|clarinet|piccolo|flute|flute|recorder|pan flute|"
    "whistle|square lead|saw lead|sitar|sitar|banjo|koto|kalimba|bagpipes|fiddle|steel drums"
)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One part of an arrangement.

    Attributes:
        plays: "melody", "long melody", "harmony", "pad", "comp", "power", "arpeggio", "bass",
            "drone" or "chaos".
        by: keys of the instruments it may be given to.
        how: names of rhythms (`rhythms.COMPS`), bass lines or arpeggio speeds to choose from.
        level: loudness beside the others, 1 for the lead.
        says: what a listener would say of it; "" for nothing beyond the instrument.
        share: how often the layer is there at all.
    """

    plays: str
    by: tuple[str, ...]
    how: tuple[str, ...] = ("held",)
    level: float = 0.75
    says: str = ""
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Style:
    """A kind of music.

    Attributes:
        name: in file names.
        share: how many pieces of it there are beside the other styles.
        words: always true of it. moods: often said of it.
        texture: "solo", "duet", "band" ...; "" where nothing is said.
        layers: the parts, the lead first.
        beats: names of drum beats, none for music without drums.
        meters: of the tunes that suit it.
        tempos: classes, or own ranges of beats a minute.
        dynamics: "soft", "normal", "loud", to choose from.
        staccato: how often its melody is played short.
        swing: whether the second of two eighths comes late.
        tight: machines play it, exactly in time.
        reverb: range of room sizes.
        one_player: accompaniment is played on the lead's own instrument.
    """

    name: str
    share: float
    words: tuple[str, ...]
    layers: tuple[Layer, ...]
    moods: tuple[str, ...] = ()
    texture: str = ""
    beats: tuple[str, ...] = ()
    meters: tuple[str, ...] = ("4/4",)
    tempos: dict[str, tuple[float, float]] = field(default_factory=lambda: dict(TEMPO_CLASSES))
    dynamics: tuple[str, ...] = (SOFT, NORMAL, LOUD)
    staccato: float = 0.15
    swing: bool = False
    tight: bool = False
    reverb: tuple[float, float] = (0.2, 0.6)
    one_player: bool = False


def _by(keys: str) -> tuple[str, ...]:
    return tuple(keys.split("|"))


def _melody(keys: str, level: float = 1.0) -> Layer:
    return Layer(plays="melody", by=_by(keys), level=level)


def _long(keys: str, says: str = "", level: float = 0.9) -> Layer:
    return Layer(plays="long melody", by=_by(keys), level=level, says=says)


def _pad(keys: str, says: str = "", level: float = 0.6, share: float = 1.0) -> Layer:
    return Layer(plays="pad", by=_by(keys), level=level, says=says, share=share)


def _comp(keys: str, how: str, says: str = "", level: float = 0.65, share: float = 1.0) -> Layer:
    return Layer(plays="comp", by=_by(keys), how=_by(how), level=level, says=says, share=share)


def _power(keys: str, how: str, level: float = 0.9) -> Layer:
    return Layer(plays="power", by=_by(keys), how=_by(how), level=level, says="power chords")


def _arpeggio(
    keys: str, how: str, says: str = "arpeggios", level: float = 0.7, share: float = 1.0
) -> Layer:
    return Layer(plays="arpeggio", by=_by(keys), how=_by(how), level=level, says=says, share=share)


def _bass(keys: str, how: str, says: str = "", level: float = 0.85, share: float = 1.0) -> Layer:
    return Layer(plays="bass", by=_by(keys), how=_by(how), level=level, says=says, share=share)


def _harmony(keys: str, level: float = 0.7, share: float = 1.0) -> Layer:
    return Layer(plays="harmony", by=_by(keys), level=level, share=share)


_ANY = ("4/4", "3/4", "6/8")
_MELODIC = ("4/4", "3/4")
_ONLY_SLOW = {"slow": SLOW}
_NOT_FAST = {"slow": SLOW, "medium": MEDIUM}
_NOT_SLOW = {"medium": MEDIUM, "fast": FAST}

STYLES = (
    Style(
        name="solo",
        share=7.0,
        words=("solo",),
        texture="solo",
        layers=(_melody(_SOLOISTS),),
        meters=_ANY,
        reverb=(0.1, 0.8),
    ),
    Style(
        name="solo-with-chords",
        share=5.0,
        words=("solo",),
        texture="solo",
        layers=(
            _melody(
                "piano|piano|piano|bright piano|honky-tonk|electric piano|harpsichord|harpsichord|"
                "organ|organ|accordion|accordion|nylon guitar|nylon guitar|steel guitar|"
                "steel guitar|jazz guitar|harp|harp|marimba|vibraphone|dulcimer|music box|koto"
            ),
            Layer(plays="arpeggio", by=("lead",), how=_by("eighths|broken"), level=0.6, share=0.6),
            Layer(plays="bass", by=("lead",), how=_by("root|fifths"), level=0.7),
        ),
        meters=_ANY,
        one_player=True,
        reverb=(0.1, 0.8),
    ),
    Style(
        name="duet",
        share=3.0,
        words=("duet", "chamber music"),
        texture="duet",
        layers=(
            _melody("violin|flute|cello|oboe|clarinet|alto sax|trumpet|recorder|viola|choir"),
            _arpeggio(
                "piano|harp|nylon guitar|harpsichord|steel guitar", "eighths|broken", says=""
            ),
        ),
        meters=_ANY,
    ),
    Style(
        name="string-quartet",
        share=2.0,
        words=("classical", "string quartet", "chamber music", "strings"),
        texture="quartet",
        layers=(
            _melody("violin"),
            _harmony("violin"),
            _pad("viola", level=0.6),
            _bass("cello", "root|fifths|long"),
        ),
        meters=_ANY,
        reverb=(0.3, 0.8),
    ),
    Style(
        name="string-orchestra",
        share=2.0,
        words=("strings", "classical", "string orchestra"),
        texture="orchestra",
        layers=(
            _melody("strings|strings|violin|cello"),
            _pad("slow strings|strings", level=0.7),
            _bass("cello|upright bass", "root|long"),
            _arpeggio("pizzicato|harp", "eighths", says="", share=0.3),
        ),
        meters=_ANY,
        reverb=(0.4, 0.9),
    ),
    Style(
        name="baroque",
        share=2.5,
        words=("baroque", "classical"),
        texture="ensemble",
        layers=(
            _melody("harpsichord|violin|flute|recorder|oboe|trumpet"),
            _arpeggio("harpsichord", "eighths|broken", says=""),
            _bass("cello|bassoon", "root|fifths|walking", says=""),
            _pad("strings", level=0.5, share=0.4),
        ),
        moods=("elegant",),
        meters=_ANY,
        staccato=0.3,
    ),
    Style(
        name="orchestral",
        share=3.0,
        words=("orchestral", "orchestra", "classical"),
        texture="orchestra",
        layers=(
            _melody("strings|french horn|trumpet|flute|oboe|clarinet|brass"),
            _pad("strings|slow strings", level=0.8),
            _pad("french horn|brass|choir", level=0.55, share=0.7),
            _bass("timpani", "root", level=0.8, share=0.6),
            _bass("upright bass|tuba", "root|long"),
        ),
        moods=("cinematic", "epic"),
        meters=_ANY,
        reverb=(0.5, 0.95),
    ),
    Style(
        name="folk",
        share=4.0,
        words=("folk", "traditional", "acoustic"),
        texture="band",
        layers=(
            _melody("fiddle|accordion|flute|whistle|banjo|bagpipes|harmonica|recorder|dulcimer"),
            _comp("steel guitar", "strum|lilt|after beats", says="strummed guitar"),
            _bass("upright bass|picked bass", "fifths|root", share=0.7),
            _comp("accordion|bandoneon", "off beats|lilt", share=0.3),
        ),
        moods=("cheerful", "danceable"),
        beats=("bodhran", "", ""),
        meters=("4/4", "6/8", "6/8", "3/4"),
    ),
    Style(
        name="country",
        share=2.5,
        words=("country", "folk"),
        texture="band",
        layers=(
            _melody("banjo|fiddle|steel guitar|clean guitar|harmonica|honky-tonk"),
            _comp("steel guitar", "after beats|strum", says="strummed guitar"),
            _bass("upright bass|bass guitar", "fifths", says="boom-chick bass"),
        ),
        moods=("cheerful",),
        beats=("train beat", "country"),
        tempos=_NOT_SLOW,
    ),
    Style(
        name="rock",
        share=4.0,
        words=("rock", "electric guitar"),
        texture="band",
        layers=(
            _melody("overdriven guitar|distorted guitar|rock organ|clean guitar"),
            _power("overdriven guitar|distorted guitar", "eighths|strum|held"),
            _bass("picked bass|bass guitar", "eighths|root"),
        ),
        moods=("energetic",),
        beats=("rock", "rock driving", "punk"),
        dynamics=(NORMAL, LOUD, LOUD),
        tempos=_NOT_SLOW,
    ),
    Style(
        name="slow-rock",
        share=1.5,
        words=("rock", "rock ballad"),
        texture="band",
        layers=(
            _long("overdriven guitar|clean guitar|rock organ"),
            _comp("clean guitar|piano|steel guitar", "quarters|eighths|held"),
            _bass("bass guitar", "root"),
            _pad("strings|hammond", level=0.45, share=0.5),
        ),
        moods=("emotional",),
        beats=("rock", "slow beat"),
        tempos=_ONLY_SLOW,
    ),
    Style(
        name="metal",
        share=3.5,
        words=("metal", "heavy metal", "rock"),
        texture="band",
        layers=(
            _power("distorted guitar", "sixteenths|gallop|eighths", level=1.0),
            _melody("distorted guitar|overdriven guitar", level=0.85),
            _bass("picked bass", "sixteenths|eighths"),
        ),
        moods=("heavy", "aggressive", "energetic"),
        beats=("double kick", "metal gallop", "punk"),
        dynamics=(LOUD,),
        tempos={"fast": (140.0, 190.0)},
    ),
    Style(
        name="techno",
        share=4.0,
        words=("techno", "electronic", "dance"),
        layers=(
            _arpeggio(
                "saw lead|square lead|polysynth|synth bass", "sixteenths", says="synth arpeggios"
            ),
            _bass("synth bass|deep synth bass", "off beats|sixteenths|octaves", says="synth bass"),
            _pad("sweep pad|warm pad|polysynth", level=0.45, share=0.5),
        ),
        moods=("energetic", "hypnotic"),
        beats=("four on the floor", "techno"),
        dynamics=(NORMAL, LOUD, LOUD),
        tempos={"fast": (132.0, 148.0)},
        tight=True,
    ),
    Style(
        name="dance",
        share=3.0,
        words=("dance", "electronic", "house"),
        layers=(
            _melody("saw lead|square lead|polysynth|synth brass"),
            _comp("polysynth|piano|saw lead", "dance|off beats"),
            _bass("synth bass|deep synth bass", "off beats|octaves", says="synth bass"),
            _pad("synth strings|warm pad", level=0.5, share=0.6),
        ),
        moods=("energetic", "happy"),
        beats=("four on the floor", "disco"),
        dynamics=(NORMAL, LOUD, LOUD),
        tempos={"medium": (110.0, 124.0), "fast": (130.0, 142.0)},
        tight=True,
    ),
    Style(
        name="drum-and-bass",
        share=2.5,
        words=("drum and bass", "electronic", "breakbeat"),
        layers=(
            _long("saw lead|square lead|electric piano|fifths lead"),
            _bass("deep synth bass|synth bass", "long|octaves", says="deep synth bass"),
            _pad("warm pad|halo pad|choir pad", level=0.5),
        ),
        moods=("energetic",),
        beats=("breakbeat", "breakbeat busy"),
        dynamics=(NORMAL, LOUD),
        tempos={"fast": (160.0, 178.0)},
        tight=True,
    ),
    Style(
        name="electronic",
        share=2.5,
        words=("electronic", "synth", "downtempo"),
        layers=(
            _long("electric piano|square lead|crystal|saw lead|echoes"),
            _arpeggio(
                "polysynth|atmosphere|square lead",
                "eighths|sixteenths",
                says="synth arpeggios",
                share=0.7,
            ),
            _bass("deep synth bass|synth bass", "root|long", says="synth bass"),
            _pad("warm pad|sweep pad|halo pad", says="synth pads", level=0.55),
        ),
        beats=("slow beat", "breakbeat", "pop"),
        tempos=_NOT_FAST,
        tight=True,
        reverb=(0.3, 0.8),
    ),
    Style(
        name="pop",
        share=3.0,
        words=("pop",),
        texture="band",
        layers=(
            _melody("piano|saw lead|clean guitar|electric piano|alto sax|synth brass|oohs"),
            _comp("piano|electric piano|clean guitar|steel guitar", "eighths|quarters|strum"),
            _bass("bass guitar|picked bass|synth bass", "eighths|root"),
            _pad("strings|synth strings|warm pad", level=0.45, share=0.6),
        ),
        moods=("catchy",),
        beats=("pop", "rock", "ballad"),
        tempos=_NOT_FAST,
    ),
    Style(
        name="funk",
        share=3.0,
        words=("funk", "groove"),
        texture="band",
        layers=(
            _bass("slap bass|bass guitar", "funk", says="funky bass line", level=1.0),
            _comp("brass", "stabs|stabs late", says="brass stabs", level=0.85),
            _comp("clavinet|muted guitar|clean guitar", "clav", level=0.7),
            _melody("alto sax|tenor sax|trumpet|hammond|electric piano", level=0.8),
        ),
        moods=("groovy", "funky"),
        beats=("funk",),
        dynamics=(NORMAL, LOUD, LOUD),
        tempos={"medium": (92.0, 118.0)},
    ),
    Style(
        name="jazz",
        share=3.0,
        words=("jazz", "swing"),
        texture="trio",
        layers=(
            _melody("piano|tenor sax|alto sax|vibraphone|muted trumpet|jazz guitar|clarinet"),
            _comp("piano|jazz guitar", "charleston|off beats"),
            _bass("upright bass", "walking", says="walking bass"),
        ),
        moods=("relaxed", "smooth"),
        beats=("swing",),
        swing=True,
    ),
    Style(
        name="bossa-nova",
        share=1.5,
        words=("bossa nova", "latin", "jazz"),
        layers=(
            _melody("flute|nylon guitar|alto sax|electric piano|vibraphone"),
            _comp("nylon guitar", "dance|charleston"),
            _bass("upright bass|bass guitar", "fifths"),
        ),
        moods=("relaxed", "warm"),
        beats=("bossa nova", "latin"),
        tempos={"medium": MEDIUM},
        dynamics=(SOFT, NORMAL),
    ),
    Style(
        name="reggae",
        share=1.0,
        words=("reggae",),
        texture="band",
        layers=(
            _melody("hammond|trombone|clean guitar|steel drums|harmonica"),
            _comp("muted guitar|clean guitar|hammond", "off beats", says="off-beat guitar"),
            _bass("bass guitar", "funk|root"),
        ),
        moods=("relaxed", "sunny"),
        beats=("reggae",),
        tempos={"slow": (64.0, 76.0), "medium": (90.0, 104.0)},
    ),
    Style(
        name="ambient",
        share=5.0,
        words=("ambient", "atmospheric"),
        layers=(
            _pad("new age pad|warm pad|halo pad|sweep pad|bowed pad", says="slow pads", level=1.0),
            _pad("choir pad|choir|oohs", says="distant choir", level=0.55, share=0.5),
            _long("crystal|echoes|atmosphere|vibraphone|piano|bowed pad", level=0.7),
            _bass("warm pad|deep synth bass", "drone", level=0.5, share=0.6),
        ),
        moods=("calm", "dreamy", "peaceful"),
        meters=_MELODIC,
        tempos={"slow": (48.0, 66.0)},
        dynamics=(SOFT, SOFT, NORMAL),
        reverb=(0.7, 1.0),
    ),
    Style(
        name="new-age",
        share=3.5,
        words=("new age", "relaxing"),
        layers=(
            _long("pan flute|flute|piano|harp|violin|oohs"),
            _arpeggio("harp|piano|nylon guitar|kalimba|celesta", "eighths|broken"),
            _pad("warm pad|slow strings|new age pad|choir", says="soft pads", level=0.6),
        ),
        moods=("calm", "peaceful", "meditative"),
        meters=_ANY,
        tempos=_ONLY_SLOW,
        dynamics=(SOFT, SOFT, NORMAL),
        reverb=(0.6, 0.95),
    ),
    Style(
        name="choir",
        share=3.0,
        words=("choir", "choral", "voices"),
        layers=(
            _long("choir|oohs", level=1.0),
            _pad("choir|oohs", level=0.8),
            _bass("choir|organ", "long", level=0.7),
            _pad("organ|slow strings", level=0.4, share=0.4),
        ),
        moods=("solemn", "sacred"),
        meters=_MELODIC,
        tempos=_NOT_FAST,
        reverb=(0.6, 0.95),
    ),
    Style(
        name="chiptune",
        share=2.5,
        words=("chiptune", "8-bit", "video game music"),
        layers=(
            _melody("square lead"),
            _arpeggio("square lead", "sixteenths", says="fast arpeggios", level=0.5),
            _bass("square lead|synth bass", "octaves|eighths", level=0.7),
        ),
        moods=("playful", "happy"),
        beats=("chip noise", ""),
        dynamics=(NORMAL, LOUD),
        tempos=_NOT_SLOW,
        tight=True,
        reverb=(0.0, 0.2),
    ),
    Style(
        name="drums",
        share=3.0,
        words=("drums", "beat", "percussion"),
        texture="solo",
        layers=(),
        beats=_by(
            "rock|rock driving|punk|double kick|four on the floor|techno|breakbeat|"
            "breakbeat busy|funk|disco|swing|train beat|bossa nova|latin|hand drums|tribal|"
            "march|slow beat"
        ),
    ),
    Style(
        name="indian",
        share=2.5,
        words=("indian", "world music"),
        layers=(
            _melody("sitar"),
            _bass("sitar|halo pad|fifths lead", "drone", says="drone", level=0.6),
        ),
        moods=("exotic", "meditative"),
        beats=("hand drums", "hand drums", ""),
    ),
    Style(
        name="lullaby",
        share=2.0,
        words=("lullaby", "gentle"),
        layers=(
            _melody("music box|celesta|harp|kalimba|piano|vibraphone"),
            _arpeggio("music box|harp|celesta|piano", "eighths|broken", says="", level=0.55),
            _pad("slow strings|warm pad|oohs", level=0.4, share=0.4),
        ),
        moods=("sweet", "calm", "sleepy"),
        meters=("3/4", "6/8", "4/4"),
        tempos=_ONLY_SLOW,
        dynamics=(SOFT,),
    ),
    Style(
        name="waltz",
        share=2.5,
        words=("waltz", "dance in three"),
        layers=(
            _melody("accordion|violin|piano|clarinet|strings|bandoneon|flute"),
            _comp("accordion|piano|nylon guitar|strings", "waltz"),
            _bass("upright bass|cello|tuba", "root"),
        ),
        moods=("elegant", "romantic"),
        beats=("waltz", "", ""),
        meters=("3/4",),
    ),
    Style(
        name="jig",
        share=1.5,
        words=("jig", "folk dance", "irish folk", "folk"),
        texture="band",
        layers=(
            _melody("accordion|fiddle|whistle|flute|banjo|bagpipes"),
            _comp("steel guitar|accordion", "lilt|quarters", says="strummed guitar"),
            _bass("upright bass", "root", share=0.6),
        ),
        moods=("cheerful", "danceable"),
        beats=("jig", ""),
        meters=("6/8",),
        tempos=_NOT_SLOW,
    ),
    Style(
        name="brass-band",
        share=1.5,
        words=("march", "brass band"),
        texture="band",
        layers=(
            _melody("trumpet|brass|trombone"),
            _comp("trombone|french horn|brass", "off beats"),
            _bass("tuba", "fifths"),
        ),
        moods=("proud",),
        beats=("march",),
        tempos=_NOT_SLOW,
        dynamics=(NORMAL, LOUD),
    ),
    Style(
        name="mallets",
        share=1.5,
        words=("minimal", "mallet percussion"),
        layers=(
            _arpeggio(
                "marimba|vibraphone|xylophone|kalimba",
                "eighths|sixteenths",
                says="repeating patterns",
                level=1.0,
            ),
            _arpeggio("marimba|vibraphone|kalimba|celesta", "eighths|broken", says="", level=0.7),
            _long(
                "vibraphone|flute|clarinet",
                level=0.6,
            ),
        ),
        moods=("hypnotic",),
        meters=_MELODIC,
    ),
    Style(
        name="organ",
        share=1.5,
        words=("church music", "classical", "organ"),
        layers=(
            _melody("organ"),
            Layer(plays="pad", by=("lead",), level=0.7),
            Layer(plays="bass", by=("lead",), how=("root", "long"), level=0.8),
        ),
        moods=("solemn", "sacred"),
        meters=_MELODIC,
        one_player=True,
        reverb=(0.7, 1.0),
    ),
    Style(
        name="experimental",
        share=2.0,
        words=("weird", "experimental", "strange"),
        layers=(
            Layer(
                plays="chaos",
                by=_by(
                    "crystal|echoes|bells|atmosphere|piano|xylophone|violin|celesta|fifths lead"
                ),
            ),
            Layer(
                plays="chaos", by=_by("bowed pad|sweep pad|cello|choir|marimba|trombone"), level=0.8
            ),
            _bass("sweep pad|bowed pad|synth bass", "drone", says="drone", level=0.5, share=0.6),
        ),
        moods=("eerie", "mysterious"),
        beats=("", "", "tribal"),
        reverb=(0.3, 1.0),
    ),
)
