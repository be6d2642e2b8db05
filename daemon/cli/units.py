"""The systemd units that dispatchd runs under: the machine's, or those of a user's own manager."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from daemon.systemd import SECRETS

MADE_BY = "# Written by `dispatchd service install` anew each time: change it by `systemctl edit`."

USER = "dispatchd"
CONFIG = Path("/etc/dispatchd")
SYSUSERS = Path("/etc/sysusers.d/dispatchd.conf")

_UNIT = """\
[Unit]
Description=dispatchd, schedules and webhooks that start GitHub Actions workflows
{after}\
Requires=dispatchd.socket
# A config that cannot be used is tried again for as long as it takes: senders wait at the socket.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={program} run
# Ends with an error where the config has faults, and says which: the daemon goes on as before.
ExecReload={program} reload
{identity}\
Restart=on-failure
RestartSec=2
# A large database is looked through, and migrated, before it is served from.
TimeoutStartSec=10min
TimeoutStopSec=30
# Fed only while the event loop, the store and the dispatcher make progress.
WatchdogSec=60
LimitNOFILE=8192
# Secrets are in its memory.
LimitCORE=0

{hardening}\

[Install]
WantedBy={wanted_by}
Also=dispatchd.socket
"""

_SYSTEM = f"""\
User={USER}
# Who is in this group may open the admin socket in RuntimeDirectory.
Group={USER}
Environment=DISPATCHD_CONFIG_DIR={CONFIG}
EnvironmentFile=-{CONFIG}/environment
# Each file there is a secret: credential:NAME in the config, and the setting of that name.
LoadCredential={SECRETS}:{CONFIG}/secrets
StateDirectory=dispatchd
StateDirectoryMode=0700
RuntimeDirectory=dispatchd
RuntimeDirectoryMode=0750
"""

_OF_USER = f"""\
Environment=DISPATCHD_CONFIG_DIR=%E/dispatchd
EnvironmentFile=-%E/dispatchd/environment
# Each file there is a secret: credential:NAME in the config, and the setting of that name.
LoadCredential={SECRETS}:%E/dispatchd/secrets
"""

_HARDENING = """\
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
"""

_HARDENING_BY_ROOT = """\
AmbientCapabilities=
CapabilityBoundingSet=
DevicePolicy=closed
KeyringMode=private
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
"""

_SOCKET = """\
[Unit]
Description=Where dispatchd takes webhooks in

[Socket]
# In the place of DISPATCHD_LISTEN. It stays open while dispatchd is restarted: nobody is refused.
ListenStream={listen}
Backlog=1024

[Install]
WantedBy=sockets.target
"""

_SYSUSERS = f"""\
u {USER} - "dispatchd" /var/lib/dispatchd
"""


def units(program: Path, listen: str, *, user: bool, home: Path) -> Mapping[Path, str]:
    """The text of every file, by where it belongs. ``program`` is the command to run, ``listen`` an
    address in systemd's form, ``home`` where the user's own configuration is."""
    directory = home / "systemd" / "user" if user else Path("/etc/systemd/system")
    service = _UNIT.format(
        after="" if user else "Wants=network-online.target\nAfter=network-online.target\n",
        program=_quoted(str(program)),
        identity=_OF_USER if user else _SYSTEM,
        hardening=_HARDENING if user else _HARDENING + _HARDENING_BY_ROOT,
        wanted_by="default.target" if user else "multi-user.target",
    )
    made_by = MADE_BY.replace("systemctl", "systemctl --user") if user else MADE_BY
    texts = {
        directory / "dispatchd.service": service,
        directory / "dispatchd.socket": _SOCKET.format(listen=listen),
    }
    if not user:
        texts[SYSUSERS] = _SYSUSERS
    return {path: f"{made_by}\n{text}" for path, text in texts.items()}


def _quoted(path: str) -> str:
    """As one word of ExecStart= (systemd.service(5), "Command lines")."""
    escaped = re.sub(r'[\\"]', r"\\\g<0>", path).replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != path or re.search(r"\s|'", path) else path
