"""Sends each word as a datagram, and prints the answers; what got lost is asked again."""
import argparse
import sys

import berkeley as socket

TRIES = 3

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("host")
parser.add_argument("port", type=int)
parser.add_argument("words", nargs="+")
arguments = parser.parse_args()


def ask(s, data):
    for _ in range(TRIES):
        s.send(data)
        try:
            return s.recv(65536)
        except TimeoutError:
            continue
    sys.exit(f"no answer after {TRIES} tries")


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(2)
    # Only what this peer sends is received from now on, and its refusals are told.
    s.connect((arguments.host, arguments.port))
    for word in arguments.words:
        print(ask(s, word.encode()).decode())
