"""Commands that hold commands: `groundup` itself, `groundup tokenizer`, `groundup bench`."""

from __future__ import annotations

import difflib
from typing import Any

import click

from ..errors import ConfigError, quoted


class Group(click.Group):
    """A click group that shows its help when nothing is asked of it, and guesses what a misspelt command meant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, no_args_is_help=False, subcommand_metavar="COMMAND …", **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were written, which is the order of learning."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """No arguments are a wish for help."""
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name. Raises ConfigError CLI_COMMAND, with the name that was probably meant."""
        command = self.get_command(ctx, args[0])
        if command is not None:
            return args[0], command, args[1:]
        names = self.list_commands(ctx)
        close = difflib.get_close_matches(args[0], names, n=1, cutoff=0.5)
        raise ConfigError(
            f"there is no command {quoted(args[0])}",
            where=ctx.command_path,
            fix=f"did you mean {close[0]}?" if close else f"use one of {', '.join(names)}",
            code="CLI_COMMAND",
        )
