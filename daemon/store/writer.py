"""Group commit: the event loop gathers what is to be written and runs its statements, a thread
waits for the disk. All that came in during a commit shares the next one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, Engine

from daemon.errors import StoreUnavailable
from daemon.measures import Histogram
from daemon.store.engine import Patience, explained, locked, unavailable, writing

MAX_WAITING = 4096  # operations; at 3,000 a second the last one waits a good second
MAX_BATCH = 256  # operations, where none weighs more than one

COMPANY = 0.003
ENOUGH = 16
"""Seconds that what is in no hurry and came during a commit waits for more, and how much of it is
enough. A commit takes the event loop as long as four of them."""

STALL = 0.05
"""Seconds that statements may wait on the event loop, beside what they compute. Longer ones mean
that a disk is slow to read or to buffer writes."""

RECOVERY = 1.0
RECOVERY_MAX = 10.0
"""Seconds for which all is left to the thread after that, twice as many each time that it comes
again soon: it may have been another program that had the processor."""

SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""By which transactions are counted: operations in one, and how long it took."""

A = TypeVar("A")
R = TypeVar("R")
P = ParamSpec("P")
Work = Callable[[Connection, Sequence[A]], Sequence[R]]


class _Operation(Struct, eq=False):
    work: Work[Any, Any]
    argument: Any
    aside: bool
    weight: int
    patient: bool
    future: asyncio.Future[Any]


_Outcomes = list[Any]  # for each operation its result, or the exception that it is to raise


@dataclass(frozen=True, slots=True)
class Failure:
    """That the database failed: when, on the monotonic clock, and in which words."""

    at: float
    message: str


class Writer:
    """Runs operations one batch after the other, each batch in one transaction.

    The statements of a batch run on the event loop, since they are short, and a thread that ran
    them would fight with the loop for the interpreter's lock at every step. They touch memory only:
    the write to disk and the wait for it are the COMMIT, one call on the thread. What would hold up
    the loop runs on the thread from the start: work that takes long (`aside`), a database that
    another program has locked, and everything for a while after statements were slow.

    An operation that raises fails alone: its batch is undone and done again with a savepoint for
    each, and the others are committed. When the database itself fails, every operation of the batch
    does, with `StoreUnavailable`; the next batch tries again.

    ``check`` raises StoreUnavailable where what is committed would not last. It is asked before
    each transaction, and after it: only then is the commit known to count.
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
        self._patience = Patience()
        self._pressed = asyncio.Event()
        self._closed = False
        self._aside_until = float("-inf")  # on the monotonic clock
        self._recovery = RECOVERY
        self.failure: Failure | None = None
        """The last one; None once it is known to be over."""
        self.sizes = Histogram(SIZES)
        self.durations = Histogram(SECONDS)
        self.failures = 0
        """Of the transactions: operations, seconds, and how many the database did not take."""

    def adopt(self, **options: object) -> None:
        """Has connections carry these execution options, from the next batch on."""
        self._engine.update_execution_options(**options)

    async def together(
        self,
        work: Work[A, R],
        argument: A,
        *,
        aside: bool = False,
        weight: int = 1,
        patient: bool = False,
    ) -> R:
        """Runs ``work`` once for the arguments of all operations of a batch that name it; it gives
        a result for each, in order. Returns this one's result, after the commit. Of operations that
        write many rows each fewer go into a batch, by their ``weight``. One that is ``patient``
        and comes during a commit waits a moment for others before the next.

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
        operation = _Operation(
            work, argument, aside, weight, patient, asyncio.get_running_loop().create_future()
        )
        self._waiting.append(operation)
        if not patient or len(self._waiting) >= ENOUGH:
            self._pressed.set()
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        result: R = await operation.future
        return result

    async def alone(
        self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Runs ``work`` in the next transaction, with nothing of other operations between."""
        return await self.together(lambda c, _: [work(c, *args, **kwargs)], None)

    async def aside(
        self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Like `alone`, for work that takes its time: the whole batch runs on the thread."""
        return await self.together(lambda c, _: [work(c, *args, **kwargs)], None, aside=True)

    def hurry(self) -> None:
        """From now on nothing waits for another program's lock: it fails at once instead."""
        self._patience.end()
        self._pressed.set()

    async def close(self) -> None:
        """Commits what waits, in a hurry, takes nothing more, and ends the thread."""
        self.hurry()
        self._closed = True
        if self._committing is not None:
            await asyncio.wait([self._committing])
        self._thread.shutdown()

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                # The last batch holds all that is left: where it fails, the end waits for it once.
                size = len(self._waiting) if self._closed else _fitting(self._waiting)
                batch, self._waiting = self._waiting[:size], self._waiting[size:]
                batch = [operation for operation in batch if not operation.future.done()]
                for operation, outcome in zip(batch, await self._outcomes(batch), strict=True):
                    _resolve(operation.future, outcome)
                # Those who were just answered run first: what they write next joins this batch.
                await asyncio.sleep(0)
                if self._waiting and all(each.patient for each in self._waiting):
                    await self._company()
        finally:
            self._committing = None

    async def _company(self) -> None:
        """Waits for one that is in a hurry, or for enough, but no longer than `COMPANY`."""
        if self._closed or len(self._waiting) >= ENOUGH:
            return
        self._pressed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COMPANY):
                await self._pressed.wait()

    async def _outcomes(self, batch: Sequence[_Operation]) -> _Outcomes:
        """What came of each operation, once the batch is on disk or has failed."""
        on_thread = asyncio.get_running_loop().run_in_executor
        began = time.monotonic()
        self.sizes.observe(len(batch))
        try:
            self._check()
            begun = None if self._is_long(batch) else self._begun_here(batch)
            if begun is None:
                return await on_thread(self._thread, self._whole, batch)
            connection, outcomes = begun
            await on_thread(self._thread, self._commit, connection)
        except Exception as error:  # noqa: BLE001 - whatever it was, the waiters must hear of it
            explanations = [explained(error, self._place) for _ in batch]
            if batch and unavailable(error):
                self.failures += 1
                self.failure = Failure(time.monotonic(), str(explanations[0]))
            return explanations
        finally:
            self.durations.observe(time.monotonic() - began)
        return outcomes

    def _is_long(self, batch: Sequence[_Operation]) -> bool:
        return time.monotonic() < self._aside_until or any(each.aside for each in batch)

    def _begun_here(self, batch: Sequence[_Operation]) -> tuple[Connection, _Outcomes] | None:
        """Runs the statements of the batch on the event loop; None where the database is locked."""
        began, computed = time.monotonic(), time.thread_time()
        try:
            return self._begun(batch)
        except Exception as error:
            if not locked(error):
                raise
            return None
        finally:
            waited = time.monotonic() - began - (time.thread_time() - computed)
            if waited > STALL:
                self._stalled(time.monotonic())

    def _stalled(self, now: float) -> None:
        again = now < self._aside_until + RECOVERY_MAX
        self._recovery = min(2 * self._recovery, RECOVERY_MAX) if again else RECOVERY
        self._aside_until = now + self._recovery

    def _whole(self, batch: Sequence[_Operation]) -> _Outcomes:
        """On the thread: the whole transaction, however long another program has its lock."""

        def attempt() -> _Outcomes:
            connection, outcomes = self._begun(batch)
            self._commit(connection)
            return outcomes

        return self._patience.while_locked(attempt)

    def _begun(self, batch: Sequence[_Operation]) -> tuple[Connection, _Outcomes]:
        """A transaction in which the batch is done; an open connection, for `_commit`."""
        connection = self._engine.connect()
        try:
            try:
                outcomes = self._run(connection, batch)
            except Exception as error:
                if unavailable(error):
                    raise
                connection.rollback()
                outcomes = self._run_one_by_one(connection, batch)
        except BaseException:
            connection.close()  # which undoes what was begun
            raise
        return connection, outcomes

    def _commit(self, connection: Connection) -> None:
        """On the thread, where nobody minds the wait for the disk."""
        with connection:
            connection.commit()
        self._check()

    def _run(self, connection: Connection, batch: Sequence[_Operation]) -> _Outcomes:
        """The batch at full speed: operations of one kind at once, and no savepoints."""
        connection.begin()
        outcomes: dict[_Operation, Any] = {}
        for operations in _by_work(batch):
            arguments = [operation.argument for operation in operations]
            results = operations[0].work(connection, arguments)
            outcomes.update(zip(operations, results, strict=True))
        return [outcomes[operation] for operation in batch]

    def _run_one_by_one(self, connection: Connection, batch: Sequence[_Operation]) -> _Outcomes:
        """The batch once more, after one of its operations failed: each with its own fate."""
        connection.begin()
        outcomes: _Outcomes = []
        for operation in batch:
            savepoint = connection.begin_nested()
            try:
                outcomes += operation.work(connection, [operation.argument])
            except Exception as error:
                if unavailable(error):
                    raise  # the database may have undone the transaction itself, savepoint and all
                savepoint.rollback()
                outcomes.append(explained(error, self._place))
            else:
                savepoint.commit()
        return outcomes


def _fitting(operations: Sequence[_Operation]) -> int:
    """How many of them make a batch: one at least, and no more than weigh `MAX_BATCH` together."""
    weight = 0
    for size, operation in enumerate(operations):
        weight += operation.weight
        if weight > MAX_BATCH and size:
            return size
    return len(operations)


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
