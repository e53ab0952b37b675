"""How a run tells how far it is: lines that stay, one a block, or on a terminal one live line that is overwritten."""

import time
from collections.abc import Callable

from vlmgate.protocol import Message

Say = Callable[[str], None]
EVERY = 0.5  # seconds between two live lines: telling more often would cost the machine that is being measured


class Progress:
    """Where lines go. ``say`` writes one that stays, ``live`` (None where there is no terminal) one that the next overwrites."""

    def __init__(self, say: Say = lambda line: None, live: Say | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self.say, self._live, self.now = say, live, now
        self._shown = -EVERY

    @property
    def is_live(self) -> bool:
        """Whether there is a line to overwrite."""
        return self._live is not None

    def live(self, line: Callable[[], str]) -> None:
        """Show ``line()`` where there is a live line and the last one has been there for a while."""
        if self._live and self.now() - self._shown >= EVERY:
            self._shown = self.now()
            self._live(line())


class Pace:
    """How far the blocks of one model are, and how long the rest will take at the pace so far."""

    def __init__(self, name: str, progress: Progress) -> None:
        self.name, self.progress = name, progress
        self.took: list[float] = []  # seconds of each block
        self.label, self.left, self.arm, self.share, self.began = "", 0, "", 0.0, 0.0

    @property
    def expected(self) -> float:
        """Seconds that a block takes, 0.0 as long as none has ended."""
        return sum(self.took) / len(self.took) if self.took else 0.0

    def begin(self, label: str, arms: int, left: int) -> None:
        """A block begins: ``block 3 of 6``; ``left`` blocks are still to come, with this one."""
        self.label, self.left, self.arm, self.share, self.began = label, left, "", 0.0, self.progress.now()
        if not self.progress.is_live:
            rest = self._rest(self.left * self.expected)
            self.progress.say(f"{self.name}: {label}, {arms} variants and the placebo{rest}")

    def hear(self, message: Message) -> None:
        """What the worker says: which arm it is at, and how far."""
        if message["event"] == "stage":
            self.arm = f"{message['stage']} {message['arm']}"
        elif message["event"] == "tick" and message["of"]:
            self.share = message["done"] / message["of"]
        self.progress.live(self.line)

    def end(self) -> None:
        """The block has ended well."""
        self.took.append(self.progress.now() - self.began)

    def line(self) -> str:
        """``scene-blip/scenes: block 3 of 6, timing fp32, 40 % of it, about 2 min left``."""
        done = self.progress.now() - self.began
        one = self.expected or (done / self.share if self.share else 0.0)
        rest = max(0.0, self.left * one - done)
        share = f", {self.share:.0%} of it".replace("%", " %") if self.share else ""
        return f"{self.name}: {self.label}, {self.arm or 'starting'}{share}{self._rest(rest if one else 0.0)}"

    @staticmethod
    def _rest(seconds: float) -> str:
        return f", about {duration(seconds)} left" if seconds else ""


def duration(seconds: float) -> str:
    """``45 s``, ``3 min``, ``2 h 05 min``: what is told of a time that is only guessed."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
