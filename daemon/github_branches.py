"""GitHub's branches as pure rules: how one may be called, how one is asked for, and what an answer
says. https://docs.github.com/en/rest/git/refs, https://git-scm.com/docs/git-check-ref-format"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

import orjson

from daemon.errors import FetchError
from daemon.github import Question, Reply, refusal

NAME_BYTES_MAX = 244
"""GitHub takes 255 bytes of a ref's whole name, ``refs/heads/`` included."""

_BAD = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[/-]|[/.]$|(^|/)\.|\.lock(/|$)")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def branch_fault(name: str) -> str:
    """Why no branch can be called so, or nothing where one can."""
    if not name:
        return "is empty"
    if (size := len(name.encode(errors="surrogatepass"))) > NAME_BYTES_MAX:
        return f"has {size} bytes, and GitHub allows {NAME_BYTES_MAX}"
    if not name.isprintable():
        return "holds a character that cannot be printed"
    if found := _BAD.search(name):
        return f"is no name that git allows, by its {found[0]!r}"
    return ""


def branch_question(repository: str, name: str, etag: str = "") -> Question:
    """Asks for a branch whose name has no fault."""
    place = f"/repos/{quote(repository, safe='/')}/git/ref/heads/{quote(name, safe='/')}"
    return Question(place, etag=etag)


def branch_told(reply: Reply, name: str, now: datetime) -> str | None:
    """The commit that the branch points to; None where there is no such branch. Raises FetchError
    for any other answer."""
    # 409: nothing was ever pushed to the repository.
    if reply.status in (404, 409):
        return None
    if reply.status != 200:
        raise FetchError(refusal(reply, "/repos", now, "contents: read"))
    try:
        document = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        document = None
    match document:
        case {"ref": str(ref), "object": {"sha": str(sha)}} if _SHA.fullmatch(sha):
            return sha if ref == f"refs/heads/{name}" else None
    raise FetchError("what was answered for the branch is not GitHub's")
