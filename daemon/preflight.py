"""Looks up which workflows of a repository listen to what, and remembers it for a while: asked by
those who want to know, it asks GitHub for what has changed since."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from daemon import github_workflows as workflows
from daemon import workflow_file
from daemon.errors import FetchError
from daemon.github import Question, Reply
from daemon.github_workflows import FileEntry, Listed, RepositoryTold
from daemon.listeners import Listeners, Workflow, read_as
from daemon.workflow_file import DIRECTORY, WorkflowFault, WorkflowFile

FRESH = timedelta(minutes=10)
"""For how long nothing is asked again."""
REPOSITORIES_MAX = 100
"""Repositories that are remembered; of more, those that were asked for last."""
FILES_MAX = 300
"""Files of a repository that are read."""
UNREADABLE = "is too large to be read, or just went away"
AT_ONCE = 4
"""Files of a repository that are asked for at a time: GitHub minds many at once."""

Ask = Callable[[str, Question], Awaitable[Reply]]
"""Asks GitHub about the repository that it names. Raises FetchError."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Told(Generic[T]):
    """What an answer said, and by what it is known again."""

    etag: str
    said: T


@dataclass(slots=True)
class _Memory:
    """What is known of one repository. ``read`` is by a file's path: its hash, and what it says or
    why it says nothing. Whether Actions are allowed is not asked again where the token may not
    know."""

    repository: _Told[RepositoryTold] | None = None
    actions: _Told[bool | None] | None = None
    pages: dict[int, _Told[tuple[Listed, ...]]] = field(default_factory=dict)
    files: _Told[tuple[FileEntry, ...]] | None = None
    read: dict[str, tuple[str, WorkflowFile | str]] = field(default_factory=dict)
    listeners: Listeners | None = None


class Preflight:
    """Asks through ``ask``, and only when it is asked itself. Of the files' text nothing is kept,
    only what was read in it."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: OrderedDict[str, _Memory] = OrderedDict()
        self._under_way: dict[str, asyncio.Future[Listeners]] = {}

    async def listeners(self, repository: str, now: datetime, *, fresh: bool = False) -> Listeners:
        """The workflows of ``repository``, as they were ten minutes ago at most, or with ``fresh``
        as they are now. What has not changed since costs nothing of the rate limit.

        All who wait for the same repository wait for one look-up. Raises FetchError where GitHub
        does not tell.
        """
        key = repository.lower()
        while True:
            known = self._recalled(key, now)
            if known is not None and not fresh:
                return known
            waiting = self._under_way.get(key)
            if waiting is None:
                return await self._looked_up(repository, key, now, fresh=fresh)
            try:
                return await asyncio.shield(waiting)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not waiting.cancelled() or (task is not None and task.cancelling()):
                    raise  # it is we who are cancelled, and not the one who looks it up

    def _recalled(self, key: str, now: datetime) -> Listeners | None:
        memory = self._known.get(key)
        known = memory.listeners if memory else None
        # One that is still to come was noted by a clock that was wrong.
        return known if known and timedelta() <= now - known.at < FRESH else None

    async def _looked_up(
        self, repository: str, key: str, now: datetime, *, fresh: bool
    ) -> Listeners:
        waiting: asyncio.Future[Listeners] = asyncio.get_running_loop().create_future()
        self._under_way[key] = waiting
        memory = self._known.get(key) or _Memory()
        try:
            listeners = await self._fetched(repository, memory, now, fresh=fresh)
        except FetchError as error:
            waiting.set_exception(error)
            waiting.exception()  # so that nobody has to wait for it
            raise
        except BaseException:
            waiting.cancel()
            raise
        finally:
            del self._under_way[key]
        memory.listeners = listeners
        self._known[key] = memory
        self._known.move_to_end(key)
        while len(self._known) > REPOSITORIES_MAX:
            self._known.popitem(last=False)
        waiting.set_result(listeners)
        return listeners

    async def _fetched(
        self, repository: str, memory: _Memory, now: datetime, *, fresh: bool
    ) -> Listeners:
        memory.repository = await self._told(
            repository,
            memory.repository,
            lambda etag: workflows.repository_question(repository, etag),
            lambda reply: workflows.repository_told(reply, now),
        )
        memory.files = await self._told(
            repository,
            memory.files,
            lambda etag: workflows.files_question(repository, etag),
            lambda reply: workflows.files_told(reply, now),
        )
        if memory.actions is None or memory.actions.etag or fresh:
            memory.actions = await self._told(
                repository,
                memory.actions,
                lambda etag: workflows.actions_question(repository, etag),
                workflows.actions_told,
            )
        listed = await self._listed(repository, memory, now)
        await self._read(repository, memory, now)
        here = {each.path for each in memory.files.said}
        ours = [each for each in listed if each.path.startswith(f"{DIRECTORY}/")]
        told = memory.repository.said
        return Listeners(
            repository=told.full_name,
            default_branch=told.default_branch,
            archived=told.archived,
            locked=told.disabled,
            actions=memory.actions.said,
            workflows=tuple(_workflow(each, memory) for each in ours if each.path in here),
            astray=tuple(each.path for each in ours if each.path not in here),
            at=now,
        )

    async def _told(
        self,
        repository: str,
        known: _Told[T] | None,
        question: Callable[[str], Question],
        told: Callable[[Reply], T],
    ) -> _Told[T]:
        """What GitHub says, or what is known where nothing has changed."""
        reply = await self._ask(repository, question(known.etag if known else ""))
        if reply.status == 304 and known is not None:
            return known
        return _Told(reply.etag, told(reply))

    async def _listed(self, repository: str, memory: _Memory, now: datetime) -> list[Listed]:
        found: list[Listed] = []
        for page in range(1, workflows.PAGES_MAX + 1):
            told = await self._told(
                repository,
                memory.pages.get(page),
                lambda etag, page=page: workflows.workflows_question(repository, page, etag),  # type: ignore[misc]
                lambda reply: workflows.workflows_told(reply, now),
            )
            memory.pages[page] = told
            found.extend(told.said)
            if len(told.said) < workflows.PAGE:
                break
        return found

    async def _read(self, repository: str, memory: _Memory, now: datetime) -> None:
        """Reads the files that have changed since."""
        entries = memory.files.said[:FILES_MAX] if memory.files else ()
        paths = {each.path for each in entries}
        memory.read = {path: read for path, read in memory.read.items() if path in paths}
        changed = [each for each in entries if memory.read.get(each.path, ("",))[0] != each.sha]
        room = asyncio.Semaphore(AT_ONCE)

        async def one(entry: FileEntry) -> None:
            async with room:
                reply = await self._ask(repository, workflows.file_question(repository, entry.path))
            found = workflows.file_told(reply, now)
            if found is None:
                read: WorkflowFile | str = UNREADABLE
            else:
                # In a thread: a large one takes a while, in which other things happen.
                read = await asyncio.to_thread(_said, found[0])
            memory.read[entry.path] = (found[1] if found else entry.sha, read)

        results = await asyncio.gather(*map(one, changed), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result


def _said(text: str) -> WorkflowFile | str:
    try:
        return workflow_file.read(text)
    except WorkflowFault as fault:
        return str(fault)


def _workflow(listed: Listed, memory: _Memory) -> Workflow:
    _, read = memory.read.get(listed.path, ("", f"is one of over {FILES_MAX}, and was not read"))
    if isinstance(read, str):
        skipped = listed.path not in memory.read or read == UNREADABLE
        known = (listed.id, listed.name, listed.path, listed.state)
        return Workflow(*known, fault=read, skipped=skipped)
    return read_as(listed.id, listed.name, listed.path, listed.state, read)
