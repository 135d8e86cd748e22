"""How the program behaves as a whole: errors in one line, exit codes, sub-programs loaded late.

Exit codes: 0 done, 1 a job failed, 2 wrong usage, 130 stopped from the keyboard.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from bandtok.errors import BandTokError, printable

# Name -> (module with a typer `app`, help). Loaded when used: they bring large libraries along.
SUB_PROGRAMS = {
    "data": ("bandtok.cli.data", "Build and describe corpora."),
    "evaluate": ("bandtok.cli.evaluate", "Measure reconstructions and tokens."),
}


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

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *SUB_PROGRAMS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in SUB_PROGRAMS:
            module, help_text = SUB_PROGRAMS[cmd_name]
            return _LateGroup(name=cmd_name, module=module, help=help_text)
        return super().get_command(ctx, cmd_name)


class _LateGroup(TyperGroup):
    """A sub-program whose module is imported when one of its commands is asked for."""

    def __init__(self, *, name: str, module: str, help: str) -> None:
        super().__init__(name=name, help=help)
        self._module = module
        self._group: TyperGroup | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        return self._loaded().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self._loaded().get_command(ctx, cmd_name)

    def _loaded(self) -> TyperGroup:
        if self._group is None:
            self._group = get_group(importlib.import_module(self._module).app)
        return self._group


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
