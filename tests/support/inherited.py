"""What a test process inherits from the shell that started it, and programs should not."""

import signal

__all__ = ["keep_ignored_signals"]


def keep_ignored_signals() -> None:
    """Go on ignoring signals that are ignored, and let started programs have them.

    A shell script starts its background jobs with SIGINT ignored, and nohup ignores SIGHUP. A
    child inherits an ignored signal. It does not inherit a handler, not even one that does nothing.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
