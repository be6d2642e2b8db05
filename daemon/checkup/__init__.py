"""What ``dispatchd doctor`` makes of what it saw: rules from observations to findings, each with
what to do about it."""

from daemon.checkup.finding import Finding, Grade, report

__all__ = ["Finding", "Grade", "report"]
