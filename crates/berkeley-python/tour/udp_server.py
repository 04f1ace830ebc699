"""Answers each datagram in capital letters."""
import argparse
import contextlib

import berkeley as socket

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("port", type=int, nargs="?", default=7000, help="0: any that is free")
port = parser.parse_args().port

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, contextlib.suppress(KeyboardInterrupt):
    s.bind(("127.0.0.1", port))
    print("port", s.getsockname()[1], flush=True)
    while True:
        # One is one message, whole, however long it is: the rest of it would be lost.
        data, address = s.recvfrom(65536)
        s.sendto(data.upper(), address)
