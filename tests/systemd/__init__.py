"""The daemon under a real systemd, which is booted in a container for it. Not part of pytest's run:
``make test-systemd``, as root, with systemd-nspawn (Debian's package systemd-container)."""
