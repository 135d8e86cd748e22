"""How the program behaves as a whole: errors in one line, exit codes, the form of its help.

Exit codes: 0 done, 1 a job failed, 2 wrong usage, 130 stopped from the keyboard.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from bandtok.cli.console import echo
from bandtok.errors import BandTokError, BandTokWarning, printable
from bandtok.extras import missing

_PLAIN_TYPES = {"bool": "", "int": "INT", "float": "FLOAT", "str": "TEXT", "Path": "PATH"}


class Command(TyperCommand):
    """A command whose help shows flags without a value and other options with a plain type."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all parameters; the signature is typer's."""
        return _with_plain_types(super().get_params(ctx), ctx)


class Group(TyperGroup):
    """A group of commands with the same form of help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all parameters; the signature is typer's."""
        return _with_plain_types(super().get_params(ctx), ctx)


def _with_plain_types(parameters: list[Any], ctx: Any) -> list[Any]:
    """Give options without a metavar one; a choice keeps the list of its values."""
    for option in parameters:
        if isinstance(option, TyperOption) and option.metavar is None:
            shown = (option.display_type(ctx) or "").strip("<>").removesuffix(" range")
            shown = shown.removeprefix("list[").removesuffix("]")
            option.metavar = _PLAIN_TYPES.get(shown)
    return parameters


class OneLineErrors(Group):
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
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning  # type: ignore[assignment]
                code = super().main(
                    args, prog_name, complete_var, False, windows_expand_args, **extra
                )
        except typer.TyperException as error:
            _report_usage(error)
            code = error.exit_code
        except typer.Abort:
            code = fail("stopped")
        except (BandTokError, OSError) as error:
            code = fail(one_line(error))
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("torch", "einops"):
                raise
            code = fail(str(missing(error, "torch")))
        except KeyboardInterrupt:
            code = 130
        sys.exit(code if isinstance(code, int) else 0)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    """Write what a user should know as one line; what is meant for programmers is left out."""
    if issubclass(category, BandTokWarning):
        echo(printable(f"bandtok: {message}"), err=True)


def one_line(error: BaseException) -> str:
    """Return an error's message as one line; for an OSError, file and reason."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, BandTokError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return printable(f"{where}{error.strerror}")
    return printable(" ".join(str(error).split())) or type(error).__name__


def fail(message: str) -> int:
    """Write one line on stderr and return the exit code of a failed job."""
    echo(f"bandtok: {printable(message)}", err=True)
    return 1


def _report_usage(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "bandtok"
    message = " ".join(error.format_message().split()).rstrip(".")
    typer.echo(f"bandtok: {printable(message)}; see '{command} --help'", err=True)
