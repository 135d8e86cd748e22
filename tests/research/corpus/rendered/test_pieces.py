"""Plans, scores and truth: the same each time, within range, and what they say is so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import mido
import numpy as np
import pytest

from bandtok.errors import DataError
from research.corpus.rendered.abc import Tune, read_tune
from research.corpus.rendered.arrange import arrange
from research.corpus.rendered.corpus import planned
from research.corpus.rendered.harmony import harmonize
from research.corpus.rendered.instruments import INSTRUMENTS
from research.corpus.rendered.plan import PiecePlan, plan_piece
from research.corpus.rendered.score import Note, Part, Score, save_midi
from research.corpus.rendered.styles import STYLES
from research.corpus.rendered.truth import known_segment

PLANS = [plan_piece(0, number) for number in range(400)]
ONE_OF_EACH = list({plan.style: plan for plan in PLANS}.values())


def tune_in(meter: str) -> Tune:
    bars = {"4/4": "C2E2G2c2|G2B2d2B2|", "3/4": "C2E2G2|G2B2d2|", "6/8": "CEGcGE|GBdBGB|"}
    text = f"X:1\nT:t\nM:{meter}\nL:1/8\nK:C\n{bars[meter] * 6}\n"
    tune = read_tune(text, "x")
    assert tune is not None
    return tune


def test_plans_depend_on_seed_and_number_alone() -> None:
    assert plan_piece(0, 7) == PLANS[7]
    assert plan_piece(1, 7) != PLANS[7]
    longer, shorter = planned(0, 0.5), planned(0, 0.2)
    assert longer[: len(shorter)] == shorter
    assert sum(plan.seconds for plan in shorter) >= 720


def test_every_style_can_be_played() -> None:
    assert len(ONE_OF_EACH) == len(STYLES)
    for plan in ONE_OF_EACH:
        score = arrange(tune_in(plan.meter), plan)
        assert score.notes
        assert all(0 <= note.pitch <= 127 and 1 <= note.velocity <= 127 for note in score.notes)
        assert max(note.start for note in score.notes) < score.seconds
        assert {note.part for note in score.notes} == set(range(len(score.parts)))
        assert any(part.drums for part in score.parts) == bool(plan.beat)


def test_instruments_named_by_the_styles_are_known() -> None:
    for style in STYLES:
        for layer in style.layers:
            assert set(layer.by) <= {*INSTRUMENTS, "lead"}


def _piece(style: str) -> tuple[PiecePlan, Score]:
    plan = next(plan for plan in PLANS if plan.style == style)
    return plan, arrange(tune_in(plan.meter), plan)


def test_the_kick_of_techno_is_on_every_beat() -> None:
    plan, score = _piece("techno")
    drums = next(n for n, part in enumerate(score.parts) if part.drums)
    kicks = sorted({n.start for n in score.notes if n.part == drums and n.pitch == 36})
    steps = np.diff(kicks)
    assert np.median(steps) == pytest.approx(60 / plan.bpm, rel=1e-6)


def test_truth_follows_the_plan() -> None:
    for plan in ONE_OF_EACH:
        tune = tune_in(plan.meter)
        score = arrange(tune, plan)
        truth = known_segment(plan, score, tune, score.seconds, -20.0)
        assert truth.words["tempo"] == {plan.tempo: 1.0}
        assert ("drums" in truth.words["drums"]) == bool(plan.beat)
        assert truth.bpm in (None, plan.bpm)
        if plan.layers:
            lead = INSTRUMENTS[plan.lead]
            assert truth.words["instrument"][lead.words[0]] == 1.0
            programs = {part.program for part in score.parts if not part.drums}
            assert programs == {INSTRUMENTS[layer.instrument].program for layer in plan.layers}
        else:
            assert "instrument" not in truth.words


def test_transposition_moves_the_key_and_the_notes_alike() -> None:
    plan, score = _piece("solo-with-chords")
    tune = tune_in(plan.meter)
    truth = known_segment(plan, score, tune, score.seconds, -20.0)
    counts = Counter(note.pitch % 12 for note in score.notes)
    names = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    assert truth.key == f"{names[plan.transpose % 12]} major"
    scale = {(plan.transpose + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)}
    assert set(counts) <= scale


def test_chords_agree_with_plain_broken_chords() -> None:
    chords = harmonize(tune_in("4/4"))
    assert [chord.root for chord in chords[:2]] == [0, 7]
    assert chords[-1].root == 0


def test_some_combinations_are_never_in_training() -> None:
    held = [plan for plan in PLANS if plan.held_out]
    assert 0.01 < len(held) / len(PLANS) < 0.15
    for plan in held:
        assert (plan.style, plan.lead, plan.tempo) not in {
            (other.style, other.lead, other.tempo) for other in PLANS if not other.held_out
        }


def test_midi_files_hold_the_notes(tmp_path: Path) -> None:
    notes = (
        Note(part=0, start=0.5, length=0.25, pitch=60, velocity=70),
        Note(part=1, start=1.0, length=0.5, pitch=36, velocity=90),
    )
    score = Score(parts=(Part(program=73), Part(program=0, drums=True)), notes=notes, seconds=2.0)
    save_midi(score, tmp_path / "a.mid")
    file = mido.MidiFile(tmp_path / "a.mid")
    assert file.length == pytest.approx(2.0, abs=0.01)
    now, sound = 0.0, []
    for message in file:
        now += message.time
        if message.type == "note_on" and message.velocity:
            sound.append((round(now, 2), message.channel, message.note, message.velocity))
    assert sound == [(0.5, 0, 60, 70), (1.0, 9, 36, 90)]
    crowd = Score(parts=(Part(program=0),) * 16, notes=(), seconds=1.0)
    with pytest.raises(DataError, match="at most 15"):
        save_midi(crowd, tmp_path / "b.mid")
