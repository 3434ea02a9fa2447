"""Show how far a computation has come."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

DELAY_SECONDS = 3.0  # what takes less shows no bar
LOG_SECONDS = 15.0  # between two lines of progress


class Progress:
    """A progress bar on a terminal or in a notebook, else a line in the log every LOG_SECONDS."""

    def __init__(self, total: int, unit: str) -> None:
        self._bar = tqdm(total=total, unit=unit, delay=DELAY_SECONDS) if is_watched() else None
        self._total, self._unit, self._done = total, unit, 0
        self._start = time.monotonic()
        self._next = self._start + LOG_SECONDS

    def __call__(self, finished: int) -> None:
        """Count ``finished`` more units as done, and show it; 0 shows that time goes on."""
        self._done += finished
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(finished)
            if not finished and now >= self._start + DELAY_SECONDS:
                self._bar.refresh()
        elif now >= self._next:
            self._next = now + LOG_SECONDS
            print(f"{self._done} of {self._total} {self._unit}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar's last state on the screen."""
        if self._bar is not None:
            self._bar.close()


def is_watched() -> bool:
    """Return whether a person sees standard error: on a terminal, at a prompt, in a notebook."""
    return sys.stderr.isatty() or hasattr(sys, "ps1")


@contextmanager
def bar_if_watched(total: int, unit: str) -> Iterator[Progress | None]:
    """Show a bar while the block runs if a person is there to see it; scripts stay silent."""
    progress = Progress(total, unit) if is_watched() else None
    try:
        yield progress
    finally:
        if progress is not None:
            progress.close()
