"""What went wrong on the way to GitHub, in words for the person who is woken by it."""

from __future__ import annotations

import os
import ssl

import aiohttp

from daemon.github import one_line

# X509_V_ERR_…, from OpenSSL's x509_vfy.h
_OUT_OF_DATE = (9, 10)  # not yet valid, expired
_ANOTHER_NAME = (62, 64)  # host name mismatch, IP address mismatch


def describe(error: Exception) -> str:
    """One line for an error of aiohttp's or the system's.

    An aiohttp error's ``repr`` holds the request's headers, and some of its texts a proxy's
    password: neither is used.
    """
    match error:
        case aiohttp.ClientConnectorDNSError():
            return (
                f"the name {error.host} does not resolve ({_system(error)}); "
                "check DNS and the network"
            )
        case aiohttp.ClientConnectorCertificateError():
            return _certificate(error.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return f"TLS could not be agreed on ({_system(error)}); check what answers there"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {error.host}:{error.port} does not answer ({_system(error)})"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refused with status {error.status}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed"
        case aiohttp.ClientResponseError():
            return f"not a readable HTTP answer: {one_line(error.message)}"
        case TimeoutError():
            return "timed out"
        case OSError():
            return _system(error)
        case _:
            return type(error).__name__


def _system(error: OSError) -> str:
    """The system's words. asyncio puts its own, with Python's notation of addresses, before an
    errno that has better ones."""
    number = error.errno or 0  # of getaddrinfo it is negative, and of OpenSSL not the system's
    known = number > 0 and not isinstance(error, aiohttp.ClientConnectorSSLError)
    text = os.strerror(number) if known else error.strerror
    return one_line(text or str(error) or type(error).__name__)


def _certificate(error: Exception) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else None
    said = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
    said = one_line(said.rstrip("."))
    if code in _OUT_OF_DATE:
        return f"the TLS certificate is out of date ({said}); check this machine's clock"
    if code in _ANOTHER_NAME:
        return (
            f"the TLS certificate is another server's ({said}); check GH_API_URL and DNS, "
            "and what answers there"
        )
    return (
        f"the TLS certificate is not trusted ({said}); behind a proxy that inspects TLS, or with a "
        "GitHub Enterprise Server, let SSL_CERT_FILE name its root certificate"
    )
