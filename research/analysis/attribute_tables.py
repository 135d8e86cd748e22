"""What `bandtok evaluate attributes` found, as tables: AttributeReport -> rows of text."""

from __future__ import annotations

from bandtok.evaluation.html_page import Table
from bandtok.evaluation.statistics import Estimate
from research.analysis.attribute_control import AttributeReport


def accuracy_rows(report: AttributeReport) -> Table:
    """Return how often found and true attributes agree; the first row is the heading."""
    rows = [["clips", "n", "instrument family", "pace"]]
    for found in report.accuracies:
        n = str(found.family.count)
        rows.append([found.what, n, _cell(found.family), _cell(found.pace)])
    return rows


def judged_rows(report: AttributeReport) -> Table:
    """Return every clip with what was requested and found; the first row is the heading."""
    rows = [["prompt", "requested", "found", "combination never trained"]]
    for clip in report.clips:
        requested, found = clip.prompt.requested, clip.found
        held_out = "yes" if clip.prompt.held_out else ""
        rows.append(
            [
                clip.prompt.text,
                f"{requested.family}, {requested.pace}",
                f"{found.family}, {found.pace}",
                held_out,
            ]
        )
    return rows


def _cell(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
