"""What all tests share."""

import signal

import pytest

# Started in the background (`&`, some CI runners), a process ignores Ctrl-C, and so do its
# children, the runs that tests interrupt among them. Ignoring is inherited, a handler is not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before the workers read the groups
def pytest_collection_modifyitems(items) -> None:
    """A file's tests go to one worker, so that they share what they set up; whole runs by task."""
    for item in items:
        file, _, _ = item.nodeid.partition("::")
        task = item.callspec.params.get("run", "") if hasattr(item, "callspec") else ""
        item.add_marker(pytest.mark.xdist_group(f"{file} {task}".strip()))
