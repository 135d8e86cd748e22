"""Which file becomes which, and what happens to the rest when one is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from bandtok.cli.batch import BatchOptions, Done, Job, Plan, plan_jobs, run_jobs
from bandtok.cli.console import Report
from bandtok.errors import AudioError, DataError


def plan(inputs: list[Path], output: Path) -> Plan:
    return plan_jobs(
        inputs,
        output,
        suffixes={".wav", ".mp3"},
        output_suffix=".btk",
        allowed_outputs={".btk"},
    )


def options(overwrite: bool = False, quiet: bool = False, as_json: bool = False) -> BatchOptions:
    return BatchOptions(overwrite=overwrite, quiet=quiet, json=as_json)


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def copy_name(job: Job, report: Report) -> Done:
    report(1, 1)
    if "broken" in job.source.name:
        raise AudioError("it is\nbroken")
    job.target.write_text(job.source.name)
    return Done(values={"size": 3}, line="three")


def pairs(found: Plan, root: Path) -> list[tuple[str, str]]:
    return [
        (str(job.source.relative_to(root)), str(job.target.relative_to(root))) for job in found.jobs
    ]


def test_one_file_to_a_file_or_into_a_folder(tmp_path: Path) -> None:
    (song,) = touch(tmp_path, "song.mp3")
    found = plan([song], tmp_path / "x.BTK")
    assert not found.many
    assert pairs(found, tmp_path) == [("song.mp3", "x.BTK")]
    (tmp_path / "out").mkdir()
    assert pairs(plan([song], tmp_path / "out"), tmp_path) == [("song.mp3", "out/song.btk")]
    with pytest.raises(typer.BadParameter, match=r"must end in \.btk"):
        plan([song], tmp_path / "x.wav")


def test_a_folder_keeps_its_tree(tmp_path: Path) -> None:
    touch(
        tmp_path / "in", "b/two.mp3", "a.WAV", "notes.txt", ".hidden/x.wav", "b/.y.wav", "v1.2.wav"
    )
    found = plan([tmp_path / "in"], tmp_path / "out")
    assert found.many
    assert pairs(found, tmp_path) == [
        ("in/a.WAV", "out/a.btk"),
        ("in/b/two.mp3", "out/b/two.btk"),
        ("in/v1.2.wav", "out/v1.2.btk"),
    ]


def test_several_inputs_go_into_a_folder(tmp_path: Path) -> None:
    one, two = touch(tmp_path, "x/one.wav", "y/two.wav")
    found = plan([one, two.parent], tmp_path / "out")
    assert [target for _, target in pairs(found, tmp_path)] == ["out/one.btk", "out/two.btk"]
    (tmp_path / "file.btk").touch()
    with pytest.raises(typer.BadParameter, match="need a folder"):
        plan([one, two], tmp_path / "file.btk")


def test_output_inside_the_input_folder_is_not_an_input(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "out/a.wav")
    assert len(plan([tmp_path], tmp_path / "out").jobs) == 1


def test_a_folder_without_audio_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no file that ends in"):
        plan([tmp_path], tmp_path / "out")


def test_a_source_is_never_written_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    for inputs, output in [([tmp_path], tmp_path), ([tmp_path / "a.wav"], tmp_path)]:
        with pytest.raises(typer.BadParameter, match="over itself"):
            plan_jobs(
                inputs, output, suffixes={".wav"}, output_suffix=".wav", allowed_outputs={".wav"}
            )


def test_one_broken_file_does_not_stop_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path / "in", "a.wav", "broken.wav", "c.wav")
    found = plan([tmp_path / "in"], tmp_path / "out")
    with pytest.raises(typer.Exit) as stopped:
        run_jobs(found, copy_name, options(), "copying")
    assert stopped.value.exit_code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.btk", "c.btk"]
    shown = capsys.readouterr()
    assert shown.err == f"bandtok: {tmp_path / 'in' / 'broken.wav'}: it is broken\n"
    assert shown.out.endswith("2 done, 0 skipped, 1 failed\n")


def test_done_files_are_skipped_unless_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path / "in", "a.wav", "b.wav")
    found = plan([tmp_path / "in"], tmp_path / "out")
    touch(tmp_path / "out", "a.btk")
    run_jobs(found, copy_name, options(as_json=True), "copying")
    result = json.loads(capsys.readouterr().out)
    assert (result["done"], result["skipped"], result["failed"]) == (1, 1, 0)
    assert [entry["status"] for entry in result["files"]] == ["skipped", "done"]
    assert result["files"][1]["size"] == 3
    assert (tmp_path / "out" / "a.btk").read_text() == ""
    run_jobs(found, copy_name, options(overwrite=True, quiet=True), "copying")
    assert (tmp_path / "out" / "a.btk").read_text() == "a.wav"
    assert capsys.readouterr().out == ""


def test_a_single_output_is_never_replaced_silently(tmp_path: Path) -> None:
    (song,) = touch(tmp_path, "a.wav")
    found = plan([song], tmp_path / "a.btk")
    run_jobs(found, copy_name, options(), "copying")
    with pytest.raises(DataError, match="add --overwrite"):
        run_jobs(found, copy_name, options(), "copying")
    run_jobs(found, copy_name, options(overwrite=True), "copying")


def test_a_single_broken_file_raises_its_own_error(tmp_path: Path) -> None:
    (song,) = touch(tmp_path, "broken.wav")
    with pytest.raises(AudioError):
        run_jobs(plan([song], tmp_path / "a.btk"), copy_name, options(), "copying")


def test_two_sources_for_one_target_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path / "in", "a.mp3", "a.wav")
    with pytest.raises(typer.Exit):
        run_jobs(plan([tmp_path / "in"], tmp_path / "out"), copy_name, options(), "copying")
    assert "a.mp3 already gives" in capsys.readouterr().err
    assert (tmp_path / "out" / "a.btk").read_text() == "a.mp3"
