"""Sends lines to a Unix socket, one message each, and prints the answers.

unix_peer.py stream|dgram|seqpacket ADDRESS (an @ in front: an abstract name)
"""
import os
import socket
import sys

kinds = {
    "stream": socket.SOCK_STREAM,
    "dgram": socket.SOCK_DGRAM,
    "seqpacket": socket.SOCK_SEQPACKET,
}
kind, place = sys.argv[1:]
sock = socket.socket(socket.AF_UNIX, kinds[kind])
sock.settimeout(8)
if kind == "dgram":
    # Without an address of its own a datagram can't be answered; this one is abstract.
    sock.bind("\0peer-%d" % os.getpid())
sock.connect("\0" + place[1:] if place.startswith("@") else place)
for line in sys.stdin:
    sock.send(line.strip().encode())
    print("answer", sock.recv(1024).decode(), flush=True)
sock.close()
