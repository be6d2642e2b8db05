"""dispatchd: schedules and third-party webhooks that reliably start GitHub Actions workflows."""

__version__ = "0.1.0"
