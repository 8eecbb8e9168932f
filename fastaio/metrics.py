"""What ``Loop.metrics()`` gives."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LoopMetrics"]


class LoopMetrics(NamedTuple):
    """Figures of a loop at one moment. Counts and times run from the making of the loop."""

    #: Turns begun.
    turns: int
    #: Calls made from the ready queue in the turns that have ended: callbacks, due timers, steps of
    #: tasks, and calls that the loop itself had put off.
    callbacks: int
    #: Calls that wait in the ready queue, those of other threads included.
    ready: int
    #: Timers that wait, those of the loop's own (time-outs of the HTTP engine) included.
    timers: int
    #: Descriptors that are watched for reading or writing.
    descriptors: int
    #: Seconds between the last two times the loop looked for what is ready, not counting waits:
    #: what becomes ready in between waits as long. Or, where that is more, by how many seconds the
    #: latest timer fired late.
    lag: float
    #: The largest lag, in seconds, since metrics() was called last; a callback that has not
    #: returned yet counts with what it has taken so far.
    lag_max: float
    #: How much of the time since metrics() was called last the loop was at work: 0.0 to 1.0.
    busy: float
    #: Seconds at work, while running.
    working: float
    #: Seconds spent waiting for something to do, while running.
    waiting: float
    #: Open transports over TCP.
    tcp: int
    #: Open transports over Unix sockets.
    unix: int
    #: Open transports over pipes.
    pipes: int
    #: Open datagram transports.
    datagrams: int
    #: How many of `tcp` and `unix` carry TLS.
    tls: int
    #: Listening sockets that are accepted from.
    listeners: int
