"""The loop: prepare, caption, weigh, time a look, judge it, go on with what is undecided; always ends in a Run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vlmgate.record import new_run_folder
from vlmgate.running.beside import Beside
from vlmgate.running.clock import PREPARING
from vlmgate.running.group import Group
from vlmgate.running.preparing import prepare, selected_groups, trim_cache
from vlmgate.running.quality import caption
from vlmgate.running.resume import check_same, note, read_earlier, take_over
from vlmgate.running.speed import time_speed
from vlmgate.running.state import State
from vlmgate.running.weighing import weigh
from vlmgate.spec import Run, VlmgateError


class Session(State):
    """One run in the making. Whatever interrupts it, `finish` gives a Run of what was measured."""

    def measure(self) -> None:
        """Answer every selected question; speed last, so that a time budget cuts what can be cut."""
        if self.options.against and self.options.resume:
            raise VlmgateError("--against and --resume do not go together: blocks of both sides must lie side by side; run anew")
        if self.options.against_python and not self.options.against:
            raise VlmgateError("--against-python says which libraries a commit has: give the commit with --against")
        beside = self.partner = Beside(self, self.options.against) if self.options.against else None
        groups = self._prepared()
        trim_cache(self)
        for group in groups:
            caption(self, group)
            weigh(self, group)
            self.save()
            if beside:
                beside.measure(group)
        if self.options.timing:
            time_speed(self, groups)
        self.status = "complete"

    def finish(self, name: str) -> Run:
        """The run so far, judged."""
        self.hold.release()
        verdicts = self.judge(self.run(name))
        return replace(self.run(name), verdicts=verdicts)

    def measure_into(self, results: Path, keep: Callable[[Run, Path], object]) -> Path:
        """Measure into a new folder under ``results``, which is returned.

        However this ends, ``keep`` gets the run so far, judged, and the folder, to write it down. Where nothing was measured, the
        folder is removed.
        """
        folder = new_run_folder(results, self.tier.name)
        self.options = replace(self.options, folder=folder)
        try:
            self.measure()
        finally:
            if self.records or self.status == "complete":  # without a record: all that was selected is missing
                keep(self.finish(folder.name), folder)
            else:  # stopped before there was anything, such as by a dataset that is missing
                folder.rmdir()
        return folder

    def _prepared(self) -> list[Group]:
        """The groups that can be measured, with what a resumed run has of them already."""
        with self.clock.phase(PREPARING):
            groups = selected_groups(self)
        earlier = read_earlier(self.options.resume) if self.options.resume else None
        if earlier:
            try:
                check_same(self, earlier)
            except VlmgateError:
                self.records.clear()  # nothing was measured: there is no run to write down
                raise
        ready = [group for group in groups if prepare(self, group)]
        if earlier:
            for group in groups:
                take_over(self, group, earlier)
            self.notes.append(note(self, earlier))
            self.progress(self.notes[-1])
        return ready
