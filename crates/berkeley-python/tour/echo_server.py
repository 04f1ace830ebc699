"""Sends back what comes, to one client after the other: the first server of every tutorial."""
import argparse
import contextlib

import berkeley as socket

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("port", type=int, nargs="?", default=7000, help="0: any that is free")
port = parser.parse_args().port

with socket.create_server(("127.0.0.1", port)) as listener, contextlib.suppress(KeyboardInterrupt):
    print("port", listener.getsockname()[1], flush=True)
    while True:
        peer, address = listener.accept()
        # A client that breaks off is no reason for the server to end.
        with peer, contextlib.suppress(ConnectionError):
            # An empty answer tells that the client has sent all.
            while data := peer.recv(4096):
                peer.sendall(data)
