"""Whose certificates are believed."""

from __future__ import annotations

import ssl


def trusting(ca_file: str) -> ssl.SSLContext | None:
    """The authorities in ``ca_file``, and whom the system trusts; None where there is no such file
    and the system's alone do."""
    if not ca_file:
        return None
    tls = ssl.create_default_context(cafile=ca_file)
    tls.load_default_certs()
    return tls
