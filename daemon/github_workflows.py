"""What GitHub is asked about a repository's workflows, and what its answers say, as pure rules: the
repository, its list of workflows, and the files on its default branch.

https://docs.github.com/en/rest/actions/workflows, https://docs.github.com/en/rest/repos/contents
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import orjson

from daemon.errors import FetchError
from daemon.github import Question, Reply, one_line, refusal
from daemon.workflow_file import DIRECTORY, TEXT_MAX

PAGE = 100
PAGES_MAX = 5
"""Pages of workflows that are read, of a hundred each."""
DEPTH_MAX = 300
"""Characters of a path or a name that are kept."""

READ_ACTIONS = "actions: read"
WRITE_ACTIONS = "actions: write"
WRITE_CONTENTS = "contents: write"
READ_CONTENTS = "contents: read"
READ_METADATA = "metadata: read"


@dataclass(frozen=True, slots=True)
class RepositoryTold:
    """``full_name`` is as it is called now. ``may`` is what the asker may do there as a person
    (``push``, ``pull``, …), by its name; empty where GitHub does not say. A repository is
    ``public`` where everybody may read it."""

    full_name: str
    default_branch: str
    archived: bool
    disabled: bool
    public: bool
    may: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Listed:
    """A workflow in GitHub's list."""

    id: int
    name: str
    path: str
    state: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file in a directory of the default branch; equal ``sha``, equal content."""

    path: str
    sha: str


def repository_question(repository: str, etag: str = "") -> Question:
    return Question(_place(repository), etag=etag)


def actions_question(repository: str, etag: str = "") -> Question:
    """Whether Actions are allowed there, which only those may know who may administer it."""
    return Question(f"{_place(repository)}/actions/permissions", etag=etag)


def workflows_question(repository: str, page: int, etag: str = "") -> Question:
    place = f"{_place(repository)}/actions/workflows"
    return Question(f"{place}?per_page={PAGE}&page={page}", etag=etag)


def files_question(repository: str, etag: str = "") -> Question:
    """The directory of the workflows on the default branch."""
    return Question(f"{_place(repository)}/contents/{DIRECTORY}", etag=etag)


def file_question(repository: str, path: str) -> Question:
    """The file on the default branch. Four bytes of an answer are three of the file's; what passes
    a million of these GitHub leaves out."""
    return Question(f"{_place(repository)}/contents/{quote(path)}")


def repository_told(reply: Reply, now: datetime) -> RepositoryTold:
    """Raises FetchError."""
    document = _object(reply, "/repos", READ_METADATA, now)
    name, branch = document.get("full_name"), document.get("default_branch")
    may = document.get("permissions")
    if not isinstance(name, str) or not isinstance(branch, str):
        raise _strange("the repository")
    return RepositoryTold(
        full_name=one_line(name, DEPTH_MAX),
        default_branch=one_line(branch, DEPTH_MAX),
        archived=document.get("archived") is True,
        disabled=document.get("disabled") is True,
        public=document.get("private") is False,
        may={key: value is True for key, value in may.items()} if isinstance(may, dict) else {},
    )


def actions_told(reply: Reply) -> bool | None:
    """Whether they are allowed; None where that is not for the token to know."""
    if reply.status != 200:
        return None
    try:
        document = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return None
    enabled = document.get("enabled") if isinstance(document, dict) else None
    return enabled if isinstance(enabled, bool) else None


def workflows_told(reply: Reply, now: datetime) -> tuple[Listed, ...]:
    """One page of them. Raises FetchError."""
    document = _object(reply, "/repos/actions/workflows", READ_ACTIONS, now)
    found = document.get("workflows")
    if not isinstance(found, list):
        raise _strange("the list of workflows")
    return tuple(_listed(each) for each in found[:PAGE])


def files_told(reply: Reply, now: datetime) -> tuple[FileEntry, ...]:
    """The workflow files; none where there is no such directory. Raises FetchError."""
    if reply.status == 404:
        return ()
    found = _json(reply, "/repos/contents", READ_CONTENTS, now)
    if not isinstance(found, list):
        raise _strange("the directory of workflow files")
    entries = [each for each in found if isinstance(each, dict) and each.get("type") == "file"]
    return tuple(
        FileEntry(path, sha)
        for each in entries
        for path, sha in [(each.get("path"), each.get("sha"))]
        if isinstance(path, str) and isinstance(sha, str) and path.endswith((".yml", ".yaml"))
    )


def file_told(reply: Reply, now: datetime) -> tuple[str, str] | None:
    """The file's text and its sha; None where there is none, or only one too large. Raises
    FetchError."""
    if reply.status == 404:
        return None
    document = _object(reply, "/repos/contents", READ_CONTENTS, now)
    sha, content, size = document.get("sha"), document.get("content"), document.get("size")
    if not isinstance(sha, str) or not isinstance(content, str) or not isinstance(size, int):
        raise _strange("a workflow file")
    if document.get("encoding") != "base64" or size > TEXT_MAX:
        return None
    try:
        raw = b64decode("".join(content.split()), validate=True)  # it comes in lines
    except (binascii.Error, ValueError):
        raise _strange("a workflow file") from None
    return raw.decode(errors="replace").removeprefix("\ufeff"), sha


def _listed(each: object) -> Listed:
    match each:
        case {"id": int(number), "name": str(name), "path": str(path), "state": str(state)}:
            long = DEPTH_MAX
            return Listed(number, one_line(name, long), one_line(path, long), one_line(state, 40))
    raise _strange("the list of workflows")


def _place(repository: str) -> str:
    return f"/repos/{quote(repository, safe='/')}"


def _object(reply: Reply, place: str, right: str, now: datetime) -> Mapping[str, object]:
    document = _json(reply, place, right, now)
    if not isinstance(document, dict):
        raise _strange(place)
    return document


def _json(reply: Reply, place: str, right: str, now: datetime) -> object:
    if reply.status != 200:
        raise FetchError(refusal(reply, place, now, right))
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise _strange(place) from None


def _strange(what: str) -> FetchError:
    return FetchError(
        f"what was answered for {what} is not GitHub's: check GH_API_URL, and the proxy or portal "
        "between"
    )
