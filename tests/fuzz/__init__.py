"""Fuzzing of what strangers can send: ``python -m tests.fuzz`` runs it, ``docs/reliability.md``
says what it found."""
