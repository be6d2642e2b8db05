"""What dispatchd remembers: one SQL database behind one class."""

from daemon.store.store import Store

__all__ = ["Store"]
