"""Answers each datagram with the time, in the format of strftime that it holds."""
import argparse
import contextlib
import time

import berkeley as socket

FORMAT_BYTES_MAX = 256

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("port", type=int, nargs="?", default=9000, help="0: any that is free")
port = parser.parse_args().port

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, contextlib.suppress(KeyboardInterrupt):
    s.bind(("127.0.0.1", port))
    print("port", s.getsockname()[1], flush=True)
    while True:
        data, address = s.recvfrom(FORMAT_BYTES_MAX)
        # What is no text, or no format, has no answer.
        with contextlib.suppress(ValueError):
            answer = time.strftime(data.decode() or "%Y-%m-%d %H:%M:%S")
            s.sendto(answer.encode(), address)
