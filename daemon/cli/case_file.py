"""Golden cases as files: ``cases/TRIGGER/NAME.json`` beside TRIGGERS.json."""

from __future__ import annotations

import base64
import binascii
import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from daemon.cli.case import NOW, Case
from daemon.document import Document, dotted, read_json
from daemon.errors import ConfigError, Fault
from daemon.expressions import compact
from daemon.schemas import check

CASES = "cases"
"""The directory within the config's."""

BODIES = ("body", "body_text", "body_base64")


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case, and where each part of it stands."""

    case: Case
    document: Document

    def place(self, path: Sequence[str | int]) -> str:
        """Of what ``expect`` has there, as ``FILE:LINE:COLUMN``."""
        line, column = self.document.place(("expect", *path))
        return f"{self.document.file}:{line}:{column}"


def case_path(config_dir: Path, trigger: str, name: str) -> Path:
    return config_dir / CASES / trigger / f"{name}.json"


def read_cases(config_dir: Path, wanted: Collection[str], known: Collection[str]) -> list[CaseFile]:
    """All cases of the triggers that are ``wanted``, by trigger and name. Raises ConfigError with
    the faults of all files, and for what lies there of a trigger that is not ``known``."""
    found: list[CaseFile] = []
    faults: list[Fault] = []
    directory = config_dir / CASES
    try:
        entries = sorted(directory.iterdir()) if directory.is_dir() else []
        for entry in entries:
            if entry.is_dir() and (entry.name in wanted or entry.name not in known):
                for path in sorted(entry.glob("*.json")):
                    try:
                        found.append(_read(path, known))
                    except ConfigError as error:
                        faults += error.faults
            elif entry.suffix == ".json":
                hint = f"put it into {directory}/TRIGGER/"
                faults.append(_fault(str(entry), "is not in a directory of its trigger", hint))
    except OSError as error:
        faults.append(_fault(str(directory), f"cannot be read: {error}"))
    if faults:
        raise ConfigError(sorted(faults))
    return found


def parsed_case(document: Document, trigger: str, name: str) -> Case:
    """The case in a file. Raises ConfigError with every fault."""
    faults = check(document, "case")
    if faults:
        raise ConfigError(faults)
    data: Mapping[str, Any] = document.data
    request: Mapping[str, Any] = data["request"]
    given = [key for key in BODIES if key in request]
    if len(given) > 1:
        message = f'"{given[0]}" and "{given[1]}" exclude each other'
        _refuse(document, ("request", given[1]), message, "keep one of them")
    headers: dict[str, str] = {}
    for header, value in request.get("headers", {}).items():
        if header.lower() in headers:
            path = ("request", "headers", header)
            _refuse(document, path, "stands there twice, in another case", "join both with a comma")
        headers[header.lower()] = value
    return Case(
        trigger=trigger,
        name=name,
        body=_body(document, request),
        method=request.get("method"),
        path=request.get("path"),
        headers=headers,
        query=request.get("query", {}),
        sign=data.get("sign", True),
        now=_now(document, data),
        expect=data["expect"],
    )


def _read(path: Path, known: Collection[str]) -> CaseFile:
    trigger = path.parent.name
    if trigger not in known:
        close = difflib.get_close_matches(trigger, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it, or add the trigger"
        fault = _fault(str(path), f"there is no trigger {trigger!r} in TRIGGERS.json", hint)
        raise ConfigError([fault])
    document = read_json(path)
    return CaseFile(parsed_case(document, trigger, path.stem), document)


def _body(document: Document, request: Mapping[str, Any]) -> bytes:
    if "body" in request:
        return compact(request["body"]).encode()
    if "body_text" in request:
        return str(request["body_text"]).encode()
    try:
        return base64.b64decode(request.get("body_base64", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        _refuse(document, ("request", "body_base64"), f"is not base64: {error}")


def _now(document: Document, data: Mapping[str, Any]) -> datetime:
    if "now" not in data:
        return NOW
    try:
        return datetime.fromisoformat(data["now"]).astimezone(UTC)
    except (ValueError, OverflowError):
        _refuse(document, ("now",), "there is no such instant")


def _refuse(document: Document, path: tuple[str, ...], message: str, hint: str = "") -> NoReturn:
    line, column = document.place(path)
    raise ConfigError([Fault(document.file, line, column, dotted(path), message, hint)])


def _fault(file: str, message: str, hint: str = "") -> Fault:
    return Fault(file, 0, 0, "", message, hint)
