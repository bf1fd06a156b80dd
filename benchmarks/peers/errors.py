"""What can go wrong in a comparison."""

from __future__ import annotations


class PeersError(Exception):
    """Base class of the errors here."""


class UsageError(PeersError):
    """A name or path on the command line that cannot work."""


class WorkerFailed(PeersError):
    """A worker that was there and then raised, crashed or hung."""
