"""A process and its child on a pair of sockets: the child is given a file, and counts its words."""
import argparse
import os

import berkeley as socket

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("paths", nargs="+", metavar="path")
arguments = parser.parse_args()

# Each message is kept whole, and the pair has two ends that both can talk.
parent, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

if os.fork() == 0:
    # Its copy of the other end: while it is open, the end of the parent would not be seen.
    parent.close()
    while True:
        # A descriptor came with the name: the file is open here too, though it may not be opened.
        name, files, _flags, _address = socket.recv_fds(child, 4096, 1)
        if not name:
            os._exit(0)
        with open(files[0], "rb") as file:
            child.send(f"{name.decode()}: {len(file.read().split())} words".encode())

child.close()
with parent:
    for path in arguments.paths:
        with open(path, "rb") as file:
            socket.send_fds(parent, [os.path.basename(path).encode()], [file.fileno()])
        print(parent.recv(4096).decode())
os.wait()
