"""An echo server for many clients on one thread, by poll."""
import argparse
import contextlib

import berkeley as socket
from berkeley import select

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("port", type=int, nargs="?", default=7000, help="0: any that is free")
port = parser.parse_args().port

with socket.create_server(("127.0.0.1", port)) as listener, contextlib.suppress(KeyboardInterrupt):
    print("port", listener.getsockname()[1], flush=True)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    # poll tells of descriptors by their numbers.
    peers = {}
    while True:
        for number, _events in poll.poll():
            if number == listener.fileno():
                peer, _address = listener.accept()
                peers[peer.fileno()] = peer
                poll.register(peer, select.POLLIN)
                continue
            peer, data = peers[number], b""
            with contextlib.suppress(ConnectionError):
                if data := peer.recv(4096):
                    # Waits for a client that takes nothing; echo_epoll.py does not.
                    peer.sendall(data)
            if not data:
                poll.unregister(number)
                peers.pop(number).close()
