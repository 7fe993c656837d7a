"""Work that may end the process: it is done in a process of its own."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

TIMEOUT = 60
"""Seconds."""


def done_apart(work: Callable[[], Any]) -> Any:
    """The result of `work`, plain data; None if its process ended without one."""
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


def _send(work: Callable[[], Any], sender: Connection) -> None:
    sender.send(json.dumps(work()))
    sender.close()
