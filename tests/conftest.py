"""What all tests share."""

import os
import signal

import pytest

# There is a worker for every core: threads of torch's on top of them would wait for each other,
# up to ten times as long as the work takes. Said before anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Started in the background (`&`, some CI runners), a process ignores Ctrl-C, and so do its
# children, the runs that tests interrupt among them. Ignoring is inherited, a handler is not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests go to one worker, so that they share what they set up; whole runs by task."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            run = test.partition("[")[2].partition("-")[0].rstrip("]")
            return f"{file} {run}" if file.endswith("test_whole_run.py") else file

    return ByFile(config, log)
