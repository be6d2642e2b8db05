"""Measures dispatchd beside what it can be compared with: ``python -m bench``, or ``make bench``.
What the rows mean and how to read them is in ``docs/performance.md``."""
