"""Messages over a stream: a length of four bytes (signed, little-endian), then so many bytes."""

import struct

_LENGTH = struct.Struct("<i")

#: What a length can tell at most.
FRAME_BYTES_MAX = 2**31 - 1


class FrameTooLong(ValueError):
    """The length of a frame is negative or above the receiver's limit: nothing after it can be
    trusted. Close the connection.
    """


def send_frame(sock, data):
    """Sends `data` as one frame."""
    view = memoryview(data).cast("B")
    if len(view) > FRAME_BYTES_MAX:
        raise FrameTooLong(f"a frame of {len(view)} bytes: at most {FRAME_BYTES_MAX} are possible")
    sock.sendall(_LENGTH.pack(len(view)))
    sock.sendall(view)


def recv_frame(sock, limit):
    """Receives one frame of at most `limit` bytes; None if the stream ended before it began.

    An end inside a frame is an EOFError. Memory is taken as the bytes come, not as the length
    promises.
    """
    length = _exactly(sock, _LENGTH.size, is_first=True)
    if length is None:
        return None
    (count,) = _LENGTH.unpack(length)
    if not 0 <= count <= limit:
        raise FrameTooLong(f"a frame of {count} bytes: the limit is {limit}")
    return bytes(_exactly(sock, count))


def _exactly(sock, count, is_first=False):
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(count - len(data), 1 << 16))
        if not piece:
            if is_first and not data:
                return None
            raise EOFError(f"the stream ended {count - len(data)} bytes before a frame did")
        data += piece
    return data
