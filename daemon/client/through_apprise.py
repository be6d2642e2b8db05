"""Tells through Apprise, which knows a hundred services and mail: the extra ``[notify]``."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from concurrent.futures import Future

from daemon.notice import Notice, NotTold

WITHIN = 60.0
"""Seconds until an attempt counts as failed; Apprise breaks most of its own off before."""

_STATUS = re.compile(r"error=(\d{3})")


async def tell_through_apprise(url: str, notice: Notice) -> None:
    """Raises NotTold."""
    done: Future[str] = Future()
    done.set_running_or_notify_cancel()
    # In a thread that nothing waits for: Apprise blocks, and must not hold up the daemon's end.
    threading.Thread(target=_tell, args=(url, notice, done), name="apprise", daemon=True).start()
    try:
        fault = await asyncio.wait_for(asyncio.wrap_future(done), WITHIN)
    except TimeoutError:
        raise NotTold("Apprise did not get it through in time") from None
    if fault:
        raise NotTold(fault)


def _tell(url: str, notice: Notice, done: Future[str]) -> None:
    try:
        done.set_result(_told(url, notice))
    except Exception as error:  # noqa: BLE001 - whatever a service's code raises, it is not told
        done.set_result(f"Apprise failed with {type(error).__name__}")


def _told(url: str, notice: Notice) -> str:
    """Why it did not arrive, in words; empty where it did."""
    words: list[str] = []
    heard = _Heard(words)
    log = logging.getLogger("apprise")
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).propagate = False  # what they log can hold the URL
    log.addHandler(heard)
    try:
        import apprise
    except ImportError:
        return "Apprise is not installed: pip install 'dispatchd[notify]'"
    try:
        service = apprise.Apprise.instantiate(url)
        if service is None:
            return "Apprise knows no such service, or the URL lacks what that one needs"
        if service.notify(title=notice.title, body=notice.text, body_format="text"):
            return ""
    finally:
        log.removeHandler(heard)
    status = next((found[1] for found in map(_STATUS.search, words) if found), "")
    return "Apprise could not deliver it" + (f": the service answered {status}" if status else "")


class _Heard(logging.Handler):
    """Keeps what this thread logs."""

    def __init__(self, words: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._words = words
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._words.append(record.getMessage())
