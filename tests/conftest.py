"""What all tests share."""

import signal

# Started in the background (`&`, some CI runners), a process ignores Ctrl-C, and so do its
# children, the runs that tests interrupt among them. Ignoring is inherited, a handler is not.
signal.signal(signal.SIGINT, signal.default_int_handler)
