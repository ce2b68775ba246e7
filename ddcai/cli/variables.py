"""An environment variable for every option of every command, by one rule.

``DDCAI_``, then the command's words, then the option's name, in capitals with ``_`` for ``-``:
``ddcai audit verify --workers`` is ``DDCAI_AUDIT_VERIFY_WORKERS``. The command's words are there
because ``--port`` or ``--yes`` mean something else to another command on the same machine. Options
that mean the same to every command have a shorter variable too (`ddcai.cli.options`), which counts
where the long one is not set. Which files and switches there are, never a secret: those stay in
files, whose paths are options.
"""

from __future__ import annotations

from collections.abc import Sequence

import click


def variable(words: Sequence[str], option: click.Option) -> str:
    """The variable of an option.

    Args:
        words: of the command, without ``ddcai``: ``("audit", "verify")``.
    """
    return _joined(*words, max(option.opts, key=len).lstrip("-"))


def _joined(*words: str) -> str:
    return "_".join(("DDCAI", *words)).upper().replace("-", "_")


def name_variables(command: click.Command, words: tuple[str, ...] = ()) -> None:
    """Gives every option of every command below its variable, before those that it has."""
    if isinstance(command, click.Group):
        for word, inner in command.commands.items():
            name_variables(inner, (*words, word))
        return
    # Narrow terminals cut the names that stand beside the options.
    command.epilog = (
        f"Each option is an environment variable, too: {_joined(*words)}_ and its name in "
        "capitals, with _ for -."
    )
    for option in command.params:
        if isinstance(option, click.Option):
            given = option.envvar or ()
            shared = (given,) if isinstance(given, str) else tuple(given)
            option.envvar = [variable(words, option), *shared]
