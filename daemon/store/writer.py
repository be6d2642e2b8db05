"""Group commit: the event loop gathers what is to be written, one thread commits it. All that
came in during a commit shares the next one, so the disk is waited for once per batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from daemon.errors import StoreUnavailable
from daemon.store.engine import explained, patiently, unavailable, writing

MAX_WAITING = 4096  # operations; at 3,000 a second the last one waits a good second
MAX_BATCH = 256

A = TypeVar("A")
R = TypeVar("R")
P = ParamSpec("P")
Work = Callable[[Connection, Sequence[A]], Sequence[R]]


@dataclass(slots=True, eq=False)
class _Operation:
    work: Work[Any, Any]
    argument: Any
    future: asyncio.Future[Any] = field(default_factory=asyncio.Future)


@dataclass(frozen=True, slots=True)
class Failure:
    """That the database failed: when, on the monotonic clock, and in which words."""

    at: float
    message: str


class Writer:
    """Runs operations on the thread that alone writes, many in one transaction.

    An operation that raises fails alone: what it did is undone to its savepoint, and the others of
    its batch are committed. When the database itself fails, every operation of the batch does, with
    `StoreUnavailable`; the next batch tries again.

    ``check`` raises StoreUnavailable where what is committed would not last. It is asked on the
    thread before each transaction, and after it: only then is the commit known to count.
    """

    def __init__(
        self,
        engine: Engine,
        place: str,
        *,
        check: Callable[[], None] = lambda: None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._engine = writing(engine)
        self._place = place
        self._check = check
        self._max_waiting = max_waiting
        self._waiting: list[_Operation] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dispatchd-writer")
        self._committing: asyncio.Task[None] | None = None
        self._hurried = False
        self._closed = False
        self.failure: Failure | None = None
        """The last one; None once it is known to be over."""

    async def together(self, work: Work[A, R], argument: A) -> R:
        """Runs ``work`` once for the arguments of all operations of a batch that name it; it gives
        a result for each, in order. Returns this one's result, after the commit.

        Raises:
            StoreUnavailable: the database did not take it, or too many wait already.
            StoreError: it breaks a rule of the tables, or what ``work`` raised.
        """
        if self._closed:
            raise StoreUnavailable(f"the store {self._place} is closed")
        if len(self._waiting) >= self._max_waiting:
            raise StoreUnavailable(
                f"the store {self._place} is busy: {len(self._waiting)} writes wait already"
            )
        operation = _Operation(work, argument)
        self._waiting.append(operation)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        result: R = await operation.future
        return result

    async def alone(
        self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Runs ``work`` in the next transaction, with nothing of other operations between."""

        def single(connection: Connection, _: Sequence[None]) -> list[R]:
            return [work(connection, *args, **kwargs)]

        return await self.together(single, None)

    def hurry(self) -> None:
        """From now on nothing waits for another program's lock: it fails at once instead."""
        self._hurried = True

    async def close(self) -> None:
        """Commits what waits, in a hurry, takes nothing more, and ends the thread."""
        self.hurry()
        self._closed = True
        if self._committing is not None:
            await asyncio.wait([self._committing])
        self._thread.shutdown()

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                # The last batch holds all that is left: where it fails, the end waits for it once.
                size = len(self._waiting) if self._closed else MAX_BATCH
                batch, self._waiting = self._waiting[:size], self._waiting[size:]
                batch = [operation for operation in batch if not operation.future.done()]
                outcomes = await loop.run_in_executor(self._thread, self._commit, batch)
                for operation, outcome in zip(batch, outcomes, strict=True):
                    _resolve(operation.future, outcome)
                # Those who were just answered run first: what they write next joins this batch.
                await asyncio.sleep(0)
        finally:
            self._committing = None

    def _commit(self, batch: Sequence[_Operation]) -> list[Any]:
        """On the thread: each operation's result, or the exception that it is to raise."""
        try:
            self._check()
            outcomes = patiently(lambda: self._transaction(batch), lambda: self._hurried)
            self._check()
        except Exception as error:  # noqa: BLE001 - whatever it was, the waiters must hear of it
            explanations = [explained(error, self._place) for _ in batch]
            if batch and unavailable(error):
                self.failure = Failure(time.monotonic(), str(explanations[0]))
            return explanations
        return [outcomes[operation] for operation in batch]

    def _transaction(self, batch: Sequence[_Operation]) -> dict[_Operation, Any]:
        outcomes: dict[_Operation, Any] = {}
        with self._engine.begin() as connection:
            for operations in _by_work(batch):
                results = self._run(connection, operations)
                outcomes.update(zip(operations, results, strict=True))
        return outcomes

    def _run(self, connection: Connection, operations: Sequence[_Operation]) -> list[Any]:
        savepoint = connection.begin_nested()
        try:
            work = operations[0].work
            results = list(work(connection, [operation.argument for operation in operations]))
        except Exception as error:
            if unavailable(error):
                raise  # the database may have undone the transaction itself, savepoint and all
            savepoint.rollback()
            if len(operations) == 1:
                return [explained(error, self._place)]
        else:
            savepoint.commit()
            return results
        return [self._run(connection, [operation])[0] for operation in operations]


def _by_work(batch: Sequence[_Operation]) -> list[list[_Operation]]:
    groups: dict[Work[Any, Any], list[_Operation]] = {}
    for operation in batch:
        groups.setdefault(operation.work, []).append(operation)
    return list(groups.values())


def _resolve(future: asyncio.Future[Any], outcome: object) -> None:
    if future.done():  # its caller was cancelled meanwhile
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
