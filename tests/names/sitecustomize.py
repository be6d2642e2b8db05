"""Loaded by Python at the start of a process under test: names are looked up in a file, and a name
that is not there does not resolve. Addresses stay what they are."""

from __future__ import annotations

import json
import os
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

_system = socket.getaddrinfo


def _look_up(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    try:
        ip_address(host)
    except ValueError:
        known = json.loads(Path(os.environ["TEST_NAMES"]).read_text())
        if host not in known:
            raise socket.gaierror(socket.EAI_AGAIN, os.strerror(0)) from None
        options.pop("flags", None)
        return [
            found
            for address in known[host]
            for found in _system(address, port, *arguments, **options)
        ]
    return _system(host, port, *arguments, **options)


socket.getaddrinfo = _look_up
