"""The daemon's own certificate and its key, from two files."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from daemon.errors import DispatchdError
from daemon.spec import TlsFiles

LARGEST = 1024 * 1024
"""Bytes of either file."""

SOON = timedelta(days=14)
PART = 5
"""When a certificate's end is near: so long before it, or a fifth of the time that it holds in all,
whichever is shorter. By then whoever renews it has tried and failed."""

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Those of TLS 1.2 that keep what was recorded secret when the key becomes known later; TLS 1.3 has
no others."""


class CertificateError(DispatchdError):
    """Files that cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that can be shown. ``context`` is what new connections are made with; ``contents`` a
    digest of both files."""

    context: ssl.SSLContext
    contents: bytes
    begins: datetime
    ends: datetime

    def near_end(self, now: datetime) -> bool:
        return self.ends - now <= min(SOON, (self.ends - self.begins) / PART)


def contents_of(files: TlsFiles) -> bytes:
    """A digest of both files as they are. Raises CertificateError."""
    return _digest(*_both(files))


def read_certificate(files: TlsFiles) -> Certificate:
    """Raises CertificateError."""
    from cryptography import x509  # which only those need who serve TLS

    chain, key = _both(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except ValueError:
        raise CertificateError(f"{files.certificate} holds no certificate in PEM form") from None
    # Of what was read, and not of the files: these may be written at this very moment.
    with _as_file(chain) as chain_file, _as_file(key) as key_file:
        try:
            context.load_cert_chain(chain_file, key_file, password=_no_password)
        except _Encrypted:
            raise CertificateError(
                f"the key in {files.key} is encrypted, and nobody is there to type its password: "
                "take it off with `openssl pkey`"
            ) from None
        except ssl.SSLError as error:
            raise CertificateError(_fault(error, files)) from None
    return Certificate(
        context, _digest(chain, key), leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )


class _Encrypted(Exception):
    pass


def _no_password() -> str:
    """What OpenSSL calls instead of asking on the terminal."""
    raise _Encrypted


def _fault(error: ssl.SSLError, files: TlsFiles) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the key in {files.key} is not that of the certificate in {files.certificate}"
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        weak = error.reason.lower().replace("_", " ")
        return f"the certificate in {files.certificate} is too weak: {weak}"
    return f"{files.key} holds no private key in PEM form"


def _both(files: TlsFiles) -> tuple[bytes, bytes]:
    return _content(files.certificate), _content(files.key)


def _content(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL in it
        raise CertificateError(f"{path!r} is not a path") from None
    if len(content) > LARGEST:
        raise CertificateError(f"{path} is larger than 1 MiB: is it the right file?")
    return content


def _digest(chain: bytes, key: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(chain).digest() + key).digest()


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path that OpenSSL can read ``content`` from; it is in memory only."""
    number = os.memfd_create("dispatchd", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(number), "wb") as file:
            file.write(content)
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)
