"""Progress of a long step, for the person who watches the run."""

import time

from podium.jobs import Job

#: Seconds between two lines.
EVERY = 5.0


class Progress:
    """A line now and then on how far a long step is."""

    def __init__(self, what: str, total: int, job: Job):
        self.what, self.total, self.job = what, total, job
        self.done = 0
        self.began = self.last = time.monotonic()

    def advance(self, count: int) -> None:
        """So many more are done."""
        self.done += count
        now = time.monotonic()
        if now - self.last < EVERY or self.done >= self.total:
            return
        self.last = now
        rate = self.done / (now - self.began)
        left = (self.total - self.done) / rate
        self.job.say(
            f"{self.done:,} of {self.total:,} {self.what}, {rate:,.0f} a second, {left:,.0f} s left"
        )
