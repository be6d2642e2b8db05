"""The packages, built and then installed as their users do. ``make test-packages`` runs it."""
