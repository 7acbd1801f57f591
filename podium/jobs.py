"""Opening a job: what every script does before it calls the library.

`open_job` attaches the log file, seeds, limits threads, takes a device, ties the job's life to its
workflow's, starts its record in the tracking spool, and turns errors of the user's making into
one readable message.
"""

import contextlib
import logging
import os
import random
import select
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podium.errors import PodiumError
from podium.tracking.spool import Spool
from podium.workflow import results_of

WORKFLOW_PID = "PODIUM_WORKFLOW_PID"
log = logging.getLogger("podium")


@dataclass
class Job:
    """A running job: its name for people, its threads and its place to track to.

    Attributes:
        name: such as `train_fold lite0 fold 1`.
        threads: CPU threads it may use.
        gpus: GPUs it was given.
        spool: where it writes parameters, metrics and artifacts.
    """

    name: str
    threads: int
    gpus: int
    spool: Spool

    def say(self, message: str) -> None:
        """One line for the person who watches the run, and for the log."""
        line = f"[{time.strftime('%H:%M:%S')}] {self.name}: {message}"
        log.info(message)
        print(line, file=sys.__stderr__, flush=True)


@contextlib.contextmanager
def open_job(snakemake) -> Iterator[Job]:
    """The job of a Snakemake script, open for the time of the `with` block."""
    wildcards = dict(snakemake.wildcards.items())
    # `model` is a name by itself; other wildcards need their word: "fold 1".
    words = [value if key == "model" else f"{key} {value}" for key, value in wildcards.items()]
    log_file = Path(snakemake.log[0])
    _attach_log(log_file)
    _die_with_workflow()
    threads = int(snakemake.threads)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    random.seed(0)
    params = {key: value for key, value in snakemake.params.items() if key != "code"}
    with contextlib.ExitStack() as stack:
        spool = stack.enter_context(
            Spool.open(Path(results_of(snakemake.config)), snakemake.rule, wildcards, params)
        )
        job = Job(" ".join([snakemake.rule, *words]), threads, int(snakemake.resources.get("gpu", 0)), spool)
        began = time.perf_counter()
        try:
            yield job
        except PodiumError as error:
            log.error("%s", error)
            print(f"\n{job.name} stopped:\n{error}\n(log: {log_file})", file=sys.__stderr__, flush=True)
            spool.fail(str(error))
            sys.exit(1)
        except BaseException as error:
            log.exception("failed")
            spool.fail(repr(error))
            raise
        spool.artifact(log_file, "logs")
        job.say(f"done in {time.perf_counter() - began:.1f} s")


def _attach_log(path: Path) -> None:
    """Everything that is logged or printed goes to the job's log file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("w", buffering=1, encoding="utf-8")
    sys.stdout = sys.stderr = stream
    logging.basicConfig(
        stream=stream, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.captureWarnings(True)


def _die_with_workflow() -> None:
    """End this process when the workflow that started it is gone (kill -9 of Snakemake)."""
    pid = int(os.environ.get(WORKFLOW_PID, 0))
    if not pid or not hasattr(os, "pidfd_open"):
        return
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return  # another host's process, or a workflow that has just ended

    def wait() -> None:
        select.select([handle], [], [])
        os._exit(143)

    threading.Thread(target=wait, daemon=True).start()
