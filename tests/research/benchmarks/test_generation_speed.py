"""The table of generation speed."""

from __future__ import annotations

import subprocess
import sys
import time

from research.benchmarks.generation_speed import SETTINGS, Cell, busy_cores, cells, table


def test_ratios_are_to_torch_and_to_the_idle_machine() -> None:
    found = {}
    for cell in cells(2):
        seconds = {"onnx": 2.0, "torch": 8.0}[cell.backend] * (1 + cell.busy)
        found[cell] = [(0.5, seconds, 300.0), (0.7, seconds, 320.0), (0.6, seconds + 9, 310.0)]
    rows = [[part.strip() for part in line.split("|")[1:-1]] for line in table(found).split("\n")]
    assert len(rows) == 2 + 4 * len(SETTINGS) + 2
    ratios = {(row[1], row[2], row[3]): row[7] for row in rows[2:]}
    assert ratios["onnx", "1", "0"] == "0.25"
    assert ratios["torch", "2", "0"] == "1.00"
    assert (ratios["onnx", "2", "1"], ratios["onnx", "2", "2"]) == ("2.00", "3.00")


def test_one_thread_is_one_row_each() -> None:
    assert {cell.threads for cell in cells(1)} == {1}
    assert len(set(cells(1))) == 2 * len(SETTINGS) + 2
    assert Cell(setting="no prompt", backend="onnx", threads=1, busy=0) in cells(1)


def test_busy_cores_end() -> None:
    with busy_cores(1):
        time.sleep(0.05)
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False)
    assert f"{sys.executable} -c n = 0" not in listed.stdout
