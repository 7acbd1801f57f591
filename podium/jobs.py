"""Opening a job: what every script does before it calls the library.

`open_job` attaches the log file, seeds, limits threads, ties the job's life to its workflow's,
starts its record in the tracking spool, and turns errors of the user's making into one readable
message. `Job` says how far it is, and takes a device.
"""

import contextlib
import faulthandler
import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from podium import devices, processes
from podium.errors import PodiumError
from podium.places import results_of, stops_of
from podium.tracking.spool import Spool

log = logging.getLogger("podium")
#: Exit status of a job that was told to end: 128 + SIGTERM, as a shell has it.
TERMINATED = 143
INTERRUPTED = 130
#: A person wants to see that it moves, not read a line for every batch.
PROGRESS_SECONDS = 5.0


class _Terminated(BaseException):
    """SIGTERM, as an exception, so that the job's files are closed in order."""


@dataclass
class Job:
    """A running job: its name for people, its threads and its place to track to.

    Attributes:
        name: such as `train lite0 fold 1 seed 0`.
        threads: CPU threads it may use.
        gpus: GPUs it was given.
        spool: where it writes parameters, metrics and artifacts.
        device_setting: `compute.device` of the config.
    """

    name: str
    threads: int = 1
    gpus: int = 0
    spool: Spool = field(default_factory=Spool)
    device_setting: str = "auto"
    _terminal: "Terminal | None" = None
    _stops: Path | None = None

    def say(self, message: str) -> None:
        """One line for the person who watches the run, and for the log."""
        log.info("%s", message)
        if self._terminal is not None:
            self._terminal.tell(f"[{time.strftime('%H:%M:%S')}] {self.name}: {message}")

    def progress(self, work: Iterable | int, what: str) -> "Progress":
        """Tell how far the job is, at most every few seconds.

        Args:
            work: what to go through (`for batch in job.progress(batches, "epoch 2/3")`), or how
                much there is to do, counted by `advance`.
            what: is put before the percentage: `epoch 2/3, 45 %, 00:21 left`.
        """
        return Progress(self.say, work, what)

    def device(self) -> str:
        """Take a device and set torch's threads: the name for `torch.device`.

        Call it before torch is imported: what a process may see of the GPUs is settled then.

        Raises:
            DeviceError: the config says `cuda` and there is none.
        """
        name = devices.take(self.device_setting, self.gpus, self.say)
        import torch

        torch.set_num_threads(self.threads)
        if name == "cuda" and not torch.cuda.is_available():
            reason = "torch cannot use the NVIDIA GPU of this machine"
            if self.device_setting == "cuda":
                raise devices.DeviceError(
                    f"compute.device: found cuda, but {reason} (torch {torch.__version__}). "
                    "Install a torch that fits the driver, or set compute.device to cpu."
                )
            self.say(f"{reason}: goes on with the CPU")
            return "cpu"
        return name


class Progress:
    """How far a job is, said at most every few seconds and never for what is over in less."""

    def __init__(self, say, work: Iterable | int, what: str, clock=time.monotonic):
        self._say, self._what, self._clock = say, what, clock
        self._work = None if isinstance(work, int) else work
        self._total = work if isinstance(work, int) else _length(work)
        self._done = 0
        self._began = self._said = clock()

    def __iter__(self):
        for item in self._work:
            yield item
            self.advance()

    def advance(self, count: int = 1) -> None:
        """So much more is done."""
        self._done += count
        now = self._clock()
        if now - self._said >= PROGRESS_SECONDS and self._done != self._total:
            self._said = now
            self._say(self._line(now - self._began))

    def _line(self, seconds: float) -> str:
        if not self._total:
            return f"{self._what}, {self._done} done"
        left = seconds * (self._total - self._done) / self._done
        return f"{self._what}, {100 * self._done / self._total:.0f} %, {_clock_time(left)} left"


def _length(work: Iterable) -> int:
    try:
        return len(work)
    except TypeError:
        return 0


def _clock_time(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute:02}:{second:02}"


def name_of(rule: str, wildcards: dict[str, str]) -> str:
    """A job's name for people: `train lite0 fold 1 seed 0` for `train_fold` of these wildcards."""
    verb, *objects = rule.split("_")
    # The rule's object is left out where its wildcard says it anyway.
    words = [verb, *(word for word in objects if word not in wildcards)]
    for key in sorted(wildcards, key=lambda key: key != "model"):
        named = key in ("model", "cache", "part")
        words.append(wildcards[key] if named else f"{key} {wildcards[key]}")
    return " ".join(words)


@contextlib.contextmanager
def open_job(snakemake) -> Iterator[Job]:
    """The job of a Snakemake script, open for the time of the `with` block."""
    wildcards = dict(snakemake.wildcards.items())
    threads = int(snakemake.threads)
    _limit_threads(threads)
    random.seed(0)
    with contextlib.ExitStack() as stack:
        log_file = Path(snakemake.log[0])
        terminal = stack.enter_context(_captured(log_file))
        spool = stack.enter_context(_spool_of(snakemake, wildcards))
        job = Job(
            name=name_of(snakemake.rule, wildcards),
            threads=threads,
            gpus=int(snakemake.resources.get("gpu", 0)),
            spool=spool,
            device_setting=_section(snakemake.config, "compute").get("device") or "auto",
            _terminal=terminal,
            _stops=stops_of(results_of(snakemake.config)),
        )
        stack.enter_context(_ending_in_order())
        _die_with_workflow(spool)
        began = time.perf_counter()
        try:
            yield job
        except BaseException as error:
            status = _report(error, job, log_file)
            if status != 0:
                sys.exit(status)
        for path in snakemake.output:
            # Arrays of decoded pictures and features are many times what they are made from.
            if Path(path).suffix != ".npy":
                spool.artifact(path)
        spool.artifact(log_file, "logs")
        job.say(f"done in {time.perf_counter() - began:.1f} s")


def _report(error: BaseException, job: Job, log_file: Path) -> int:
    """Tell what stopped a job, to the log, the person and the record; its exit status."""
    if isinstance(error, SystemExit) and error.code in (0, None):
        return 0
    spool, status = job.spool, 1
    if isinstance(error, PodiumError):
        log.error("%s", error)
        message, reason = f"stopped:\n{error}", str(error)
    elif isinstance(error, (KeyboardInterrupt, _Terminated)):
        log.error("ended from outside")
        message = reason = "ended from outside (Ctrl-C or a signal)"
        status = INTERRUPTED if isinstance(error, KeyboardInterrupt) else TERMINATED
    else:
        log.error("failed", exc_info=error)
        last = traceback.format_exception_only(error)[-1].strip()
        message, reason = f"failed: {last}", last
        status = error.code if isinstance(getattr(error, "code", None), int) else 1
    if status not in (INTERRUPTED, TERMINATED) and job._terminal is not None:
        text = f"\n{job.name} {message}\n(log: {log_file})\n"
        job._terminal.tell(text)
        _note_stop(job._stops, text)
    spool.artifact(log_file, "logs")
    if status in (INTERRUPTED, TERMINATED):
        spool.kill(reason)
    else:
        spool.fail(reason)
    return status


def _note_stop(path: Path | None, text: str) -> None:
    """Leave word for the workflow's last lines: on a cluster the job has another terminal."""
    # A full disk may be what stopped the job.
    with contextlib.suppress(OSError):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as stream:
                stream.write(text)


def _section(config: dict, name: str) -> dict:
    return config.get(name) or {}


def _spool_of(snakemake, wildcards: dict) -> contextlib.AbstractContextManager[Spool]:
    if not _section(snakemake.config, "tracking").get("enabled", True):
        return contextlib.nullcontext(Spool())
    params = {key: value for key, value in snakemake.params.items() if key != "code"}
    results = results_of(snakemake.config)
    name = name_of(snakemake.rule, wildcards)
    return Spool.open(results, snakemake.rule, wildcards, params, name)


def _limit_threads(threads: int) -> None:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    # albumentations looks for a newer version otherwise, and waits for it where there is no net.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    # Has to stand before CUDA starts, for those who ask torch for deterministic algorithms.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


class Terminal:
    """The workflow's own stderr, kept aside while everything else goes to the job's log."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def tell(self, text: str) -> None:
        """One line or more; nobody listening is no reason to fail."""
        # One write for the whole text: lines of several jobs never mix.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, (text + "\n").encode("utf-8", "replace"))


@contextlib.contextmanager
def _captured(path: Path) -> Iterator[Terminal]:
    """Everything logged, warned of or printed goes to the log file, C libraries' words too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {number: _duplicate(number) for number in (1, 2)}
    stream = path.open("w", buffering=1, encoding="utf-8")
    for number in kept:
        os.dup2(stream.fileno(), number)
    former = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = stream
    root = logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root.addHandler(handler)
    former_level = root.level
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    faulthandler.enable(stream)
    try:
        yield Terminal(kept[2])
    finally:
        faulthandler.disable()
        logging.captureWarnings(False)
        root.setLevel(former_level)
        root.removeHandler(handler)
        sys.stdout, sys.stderr = former
        for number, descriptor in kept.items():
            os.dup2(descriptor, number)
            os.close(descriptor)
        stream.close()


def _duplicate(number: int) -> int:
    try:
        return os.dup(number)
    except OSError:  # closed: a workflow without a terminal
        return os.open(os.devnull, os.O_WRONLY)


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM (a cluster's time limit, a cancelled job) unwinds like Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def terminate(number, frame):
        if os.getpid() != owner:
            os._exit(TERMINATED)  # a loader's worker, forked from this job
        raise _Terminated

    former = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _die_with_workflow(spool: Spool) -> None:
    """End this process when the workflow that started it is gone (kill -9 of Snakemake).

    Orphans would go on writing files that the next run of the workflow writes too.
    """
    workflow = os.environ.get(processes.WORKFLOW, "")
    if not processes.is_alive(workflow):
        return  # no workflow, or one of another machine: there the cluster ends its jobs

    def wait() -> None:
        if processes.wait_for_end(workflow):
            spool.kill("the workflow was gone")
            os._exit(TERMINATED)

    threading.Thread(target=wait, daemon=True, name="die-with-workflow").start()
