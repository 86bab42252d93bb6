"""Ids that carry their parents, so that children are a range of the primary key.

    stream  = job << 6 | route         a job's messages that go one route
    message = stream << 26 | ordinal   ordinal counts from 1 within its stream
    segment = message << 8 | number    number counts from 1 within its message

64 bits in all: 8 million jobs of 64 routes of 67 million messages of 255 segments.
"""

ROUTE_BITS = 6
MESSAGE_BITS = 26
SEGMENT_BITS = 8
JOB_BITS = ROUTE_BITS + MESSAGE_BITS  # of a message's id, below its job

ROUTE_MASK = (1 << ROUTE_BITS) - 1
LAST_ORDINAL = (1 << MESSAGE_BITS) - 1
SEGMENT_MASK = (1 << SEGMENT_BITS) - 1


def streams_of(job_id: int) -> tuple[int, int]:
    """Return the first id that a job's streams may have, and the first that they may not."""
    return job_id << ROUTE_BITS, (job_id + 1) << ROUTE_BITS


def messages_of(job_id: int) -> tuple[int, int]:
    """Return the ids between which a job's messages lie, both exclusive."""
    return job_id << JOB_BITS, (job_id + 1) << JOB_BITS


def messages_in(stream_id: int) -> tuple[int, int]:
    """Return the ids between which a stream's messages lie, both exclusive."""
    return stream_id << MESSAGE_BITS, (stream_id + 1) << MESSAGE_BITS


def segments_of(message_id: int) -> tuple[int, int]:
    """Return the ids between which a message's segments lie, both exclusive."""
    return message_id << SEGMENT_BITS, (message_id + 1) << SEGMENT_BITS
