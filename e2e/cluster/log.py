"""Progress on stderr, and the one error that stops a command."""

import sys
import time

_START = time.monotonic()


class ClusterError(Exception):
    """Something that the person at the keyboard has to know, without a traceback."""


def say(text: str) -> None:
    """Print one line of progress with the seconds since the command began."""
    print(f"[{time.monotonic() - _START:4.0f} s] {text}", file=sys.stderr, flush=True)
