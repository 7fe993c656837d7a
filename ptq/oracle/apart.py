"""Work that may end the process: it is done in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

TIMEOUT = 60
"""Seconds."""


def done_apart(work: Callable[[], Any]) -> Any:
    """The result of `work`, plain data; None if its process ended without one."""
    import multiprocessing  # here: it leaves a module of its own beside those that are imported

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_send, args=(work, sender))
    process.start()
    sender.close()
    try:
        return json.loads(receiver.recv()) if receiver.poll(TIMEOUT) else None
    except EOFError:  # nothing was sent
        return None
    finally:
        process.kill()
        process.join()
        receiver.close()


def _send(work: Callable[[], Any], sender: Any) -> None:
    sender.send(json.dumps(work()))
    sender.close()
