"""What the older event handler took on ``/github/webhook``: GitHub's signature, also under a
header of its own, where it took the plain secret as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from daemon.secret import Secret
from daemon.signatures.credentials import TokenScheme
from daemon.signatures.hmac_scheme import HmacScheme
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Scheme

OLD_HEADER = "x-github-webhook-secret-token"


@dataclass(frozen=True, slots=True)
class GithubLegacyScheme(Scheme):
    """``signature`` is GitHub's scheme as of today; each of the other two ways is as good."""

    signature: HmacScheme

    name: ClassVar[str] = "github_legacy"
    credential_headers: ClassVar[frozenset[str]] = frozenset({OLD_HEADER})

    @property
    def replayable(self) -> bool:
        return self.signature.replayable

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        mismatch = self.signature.verify(request, secrets, now)
        if mismatch is None or OLD_HEADER not in request.headers:
            return mismatch
        under_old_header = replace(self.signature, header=OLD_HEADER)
        plain = TokenScheme(header=OLD_HEADER)
        # Both are asked, so that the time taken does not tell which one came close.
        answers = [one.verify(request, secrets, now) for one in (under_old_header, plain)]
        if None in answers:
            return None
        return mismatch if self.signature.header in request.headers else answers[1]

    def delivery_id(self, request: Request, body: object) -> str | None:
        return self.signature.delivery_id(request, body)

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        return self.signature.sign(body, secret, now, method=method, path=path)
