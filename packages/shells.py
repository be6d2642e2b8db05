"""Completions for bash, zsh and fish, as files where each of them looks by itself. They ask the
program, so that they know its commands and the names of the entries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FILES = {
    "bash": "bash-completion/completions/dispatchd",
    "zsh": "zsh/site-functions/_dispatchd",
    "fish": "fish/vendor_completions.d/dispatchd.fish",
}
"""Below a ``share`` directory."""

_PROGRAM = "import sys; sys.argv = ['dispatchd']; from daemon.cli import main; main()"

_ZSH_LAST = "compdef _dispatchd_completion dispatchd"
_ZSH_LOADED = f"""\
# Loaded by compinit at the first completion, this file is the function itself.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _dispatchd_completion "$@"
else
  {_ZSH_LAST}
fi"""


def completion(shell: str) -> str:
    """The script for ``bash``, ``zsh`` or ``fish``. Raises ValueError where typer writes another
    than is known here."""
    environ = {**os.environ, "_DISPATCHD_COMPLETE": f"source_{shell}"}
    ran = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-c", _PROGRAM], env=environ, capture_output=True, text=True, check=True
    )
    script = ran.stdout.strip()
    if shell == "zsh":
        if not script.startswith("#compdef dispatchd\n") or not script.endswith(_ZSH_LAST):
            raise ValueError(f"zsh would not load this by itself:\n{script}")
        script = script.removesuffix(_ZSH_LAST) + _ZSH_LOADED
    return f"{script}\n"


def write_completions(share: Path) -> None:
    """Below a ``share`` directory."""
    for shell, name in FILES.items():
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).write_text(completion(shell), "utf-8")
