"""Changes to the config files: one is replaced only once the whole config was loaded with its new
text, and then at once or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from stat import S_IMODE
from tempfile import TemporaryDirectory

from daemon import config
from daemon.document import read_json
from daemon.errors import ConfigError, Fault
from daemon.spec import Config

FILES = (config.CRONS, config.TRIGGERS, config.SETTINGS)


def loaded_with(directory: Path, file: str, text: str) -> Config:
    """The config of ``directory`` as it would be if ``text`` were in ``file``; nothing is changed
    there. Raises ConfigError, whose faults name the files of ``directory``."""
    with TemporaryDirectory(prefix="dispatchd-") as name:
        trial = Path(name)
        for other in FILES:
            if other != file and (directory / other).exists():
                (trial / other).symlink_to((directory / other).resolve())
        (trial / file).write_bytes(text.encode())
        try:
            return config.load(trial, os.environ, secrets=config.Secrets.OPTIONAL)
        except ConfigError as error:
            faults = [_moved(fault, str(trial), str(directory)) for fault in error.faults]
            raise ConfigError(faults) from None


def names(directory: Path) -> Iterator[tuple[str, str]]:
    """The name of every entry of both files, whatever else is wrong with it, and where it stands.
    Raises ConfigError for a file that is not JSON."""
    for file, key in ((config.CRONS, "crons"), (config.TRIGGERS, "triggers")):
        path = directory / file
        if not text_of(path).strip():
            continue
        document = read_json(path)
        data = document.data
        base: tuple[str, ...] = ()
        if isinstance(data, dict):
            data, base = data.get(key), (key,)
        for index, entry in enumerate(data if isinstance(data, list) else ()):
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                line, column = document.place((*base, index, "name"))
                yield entry["name"], f"{document.file}:{line}:{column}"


def text_of(path: Path) -> str:
    """What a file holds, its byte-order mark included; nothing where there is none. What is not
    UTF-8 is told by whoever reads it as a config file."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def put_in_place(path: Path, text: str) -> None:
    """Writes ``text`` to a file beside ``path`` and renames it: a reader sees the old text or the
    new one. Mode and owner stay as they were, and a symbolic link stays one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            before = path.stat()
            with suppress(PermissionError):
                os.chown(beside, before.st_uid, before.st_gid)
            beside.chmod(S_IMODE(before.st_mode))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _moved(fault: Fault, old: str, new: str) -> Fault:
    """The fault, where its texts name the directory ``old``, with ``new``."""
    return replace(
        fault,
        file=fault.file.replace(old, new),
        message=fault.message.replace(old, new),
        hint=fault.hint.replace(old, new),
    )
