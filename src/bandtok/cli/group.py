"""How the program behaves as a whole: errors in one line, exit codes.

Exit codes: 0 done, 1 a job failed, 2 wrong usage, 130 stopped from the keyboard.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from bandtok.errors import BandTokError, printable


class OneLineErrors(TyperGroup):
    """A command group that turns every expected error into one line on stderr."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the program and exit; the signature is typer's."""
        if hasattr(sys.stdout, "reconfigure"):  # a sign the terminal does not have is no failure
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except typer.TyperException as error:
            _report_usage(error)
            code = error.exit_code
        except typer.Abort:
            code = fail("stopped")
        except (BandTokError, OSError) as error:
            code = fail(one_line(error))
        except KeyboardInterrupt:
            code = 130
        sys.exit(code if isinstance(code, int) else 0)


def one_line(error: BaseException) -> str:
    """Return an error's message as one line; for an OSError, file and reason."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, BandTokError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return printable(f"{where}{error.strerror}")
    return printable(" ".join(str(error).split())) or type(error).__name__


def fail(message: str) -> int:
    """Write one line on stderr and return the exit code of a failed job."""
    typer.echo(f"bandtok: {printable(message)}", err=True)
    return 1


def _report_usage(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "bandtok"
    message = " ".join(error.format_message().split()).rstrip(".")
    typer.echo(f"bandtok: {printable(message)}; see '{command} --help'", err=True)
