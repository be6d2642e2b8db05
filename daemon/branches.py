"""``/api/v1/dispatches/{id}/branch``: asks GitHub for a branch that a dispatch's run pushes, for
those who wait for it and have no token."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from aiohttp import web

from daemon.errors import FetchError, Refused
from daemon.github import Question, Reply
from daemon.github_branches import branch_fault, branch_question, branch_told
from daemon.ports import Records
from daemon.web import json_response

REMEMBERED_MAX = 100
"""Branches that were there when they were asked for last, so that asking again costs nothing of the
rate limit."""


class GitHub(Protocol):
    """Answers within the share of requests that may be spent on looking."""

    def closed_until(self, repository: str) -> datetime | None:
        """Before when nothing may be asked about the repository; None: it may be now."""
        ...

    async def ask(self, repository: str, question: Question) -> Reply:
        """Raises FetchError."""
        ...


class Branches:
    """Answers calls whose key has been checked. Raises Refused: 404 for a dispatch that there is
    not, 400 for a name that no branch can have, 502 with GitHub's words where it does not tell, 503
    while it may not be asked."""

    def __init__(self, records: Records, github: GitHub, clock: Callable[[], datetime]) -> None:
        self._records = records
        self._github = github
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()

    async def look(self, request: web.Request) -> web.Response:
        """GET with ``?name=``: whether the dispatch's repository has that branch."""
        dispatch_id, name = request.match_info["id"], request.query.get("name", "")
        if fault := branch_fault(name):
            raise Refused(400, f"name={name!r:.100} {fault}")
        dispatch = await self._records.dispatch(dispatch_id)
        if dispatch is None:
            raise Refused(404, f"there is no dispatch {dispatch_id!r:.100}; it may have aged out")
        repository = dispatch.repository
        if (until := self._github.closed_until(repository)) is not None:
            wait = max(1, round((until - self._clock()).total_seconds()))
            raise Refused(
                503,
                f"GitHub is asked about {repository} as often as may be; try again in {wait} s",
                headers={"Retry-After": str(wait)},
            )
        try:
            sha = await self._asked(repository, name)
        except FetchError as error:
            raise Refused(502, str(error)) from None
        view = {"repository": repository, "name": name, "found": sha is not None, "sha": sha}
        return json_response(200, view)

    async def _asked(self, repository: str, name: str) -> str | None:
        """The commit that the branch points to, if it is there. Raises FetchError."""
        known = self._known.pop((repository, name), None)
        question = branch_question(repository, name, known[0] if known else "")
        reply = await self._github.ask(repository, question)
        if reply.status == 304 and known is not None:
            self._known[repository, name] = known
            return known[1]
        sha = branch_told(reply, name, self._clock())
        if sha is not None and reply.etag:
            self._known[repository, name] = (reply.etag, sha)
            while len(self._known) > REMEMBERED_MAX:
                self._known.popitem(last=False)
        return sha
