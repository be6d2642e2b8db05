"""Keeps the daemon's certificate as its files have it: what renews these need tell nobody, and no
connection is dropped for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta

from daemon.certificate import CertificateError, contents_of, read_certificate
from daemon.expressions import rfc3339
from daemon.facts import CertificateRenewed, Facts, Trouble
from daemon.spec import TlsFiles

LOOK_EVERY = 10.0
"""Seconds between two looks at the files. Their content is compared: editors, links that are turned
and volumes that are swapped leave times and names as they like."""

REMIND = timedelta(days=1)


class Renewal:
    """Holds the certificate that new connections are shown. ``files`` gives the settings of today:
    where they name none any more, the last ones stay (without TLS another port is served)."""

    def __init__(
        self, files: Callable[[], TlsFiles | None], *, clock: Callable[[], datetime], facts: Facts
    ) -> None:
        """Raises CertificateError; and ValueError where there are no files."""
        found = files()
        if found is None:
            raise ValueError("no files of a certificate")
        self._named = files
        self._files = found
        self._clock = clock
        self._facts = facts
        self._certificate = read_certificate(found)
        self._fault = ""
        self._told = ""
        self._reminded: datetime | None = None

    def context(self) -> ssl.SSLContext:
        """What the next connection is made with."""
        return self._certificate.context

    @property
    def ends(self) -> datetime:
        return self._certificate.ends

    def reasons(self) -> list[str]:
        """What is not well, for those who ask how the daemon does."""
        reasons = []
        if self._told:
            reasons.append("the files of the TLS certificate cannot be used; the one before is")
        if self._certificate.near_end(now := self._clock()):
            word = "has ended" if self.ends <= now else "ends soon"
            reasons.append(f"the TLS certificate {word}: {rfc3339(self.ends)}")
        return reasons

    async def run(self) -> None:
        """Looks at the files until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Takes what the files hold now. What cannot be used is told when it is found so twice:
        they may just be being written, one after the other."""
        self._files = self._named() or self._files
        try:
            if await asyncio.to_thread(contents_of, self._files) != self._certificate.contents:
                self._certificate = await asyncio.to_thread(read_certificate, self._files)
                self._reminded = None
                self._facts.publish(CertificateRenewed(self._files.certificate, self.ends))
            self._fault = self._told = ""
        except CertificateError as error:
            if self._fault == str(error) != self._told:
                self._told = self._fault
                self._facts.publish(
                    Trouble(
                        "tls",
                        f"{error}; the certificate from before is used, until {rfc3339(self.ends)}",
                    )
                )
            self._fault = str(error)
        self._remind(self._clock())

    def _remind(self, now: datetime) -> None:
        if not self._certificate.near_end(now):
            return
        if self._reminded is not None and now - self._reminded < REMIND:
            return
        self._reminded = now
        word = "has ended, and senders refuse it" if self.ends <= now else "ends"
        self._facts.publish(
            Trouble(
                "tls",
                f"the certificate in {self._files.certificate} {word}: {rfc3339(self.ends)}; see "
                "that it is renewed, and that its new files come there",
            )
        )
