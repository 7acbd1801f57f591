"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest

# There is a worker for every core: threads of torch's on top of them would wait for each other,
# up to ten times as long as the work takes. Said before anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Started in the background (`&`, some CI runners), a process ignores Ctrl-C, and so do its
# children, the runs that tests interrupt among them. Ignoring is inherited, a handler is not.
signal.signal(signal.SIGINT, signal.default_int_handler)


FROM_FINISHED = ("test_interrupted.py", "test_reruns.py", "test_whole_run.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests go to one worker, so that they share what they set up.

    So do all that start from the finished runs of classification and of segmentation; other whole
    runs go by task.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            name = Path(file).name
            run = test.partition("[")[2].rstrip("]") if name == "test_whole_run.py" else ""
            if name in FROM_FINISHED and run in ("", "classification", "segmentation"):
                return "finished"
            return f"{file} {run}"

    return ByFile(config, log)
