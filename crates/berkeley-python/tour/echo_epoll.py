"""An echo server for many clients on one thread, by epoll: nobody waits for a slow one."""
import argparse
import contextlib

import berkeley as socket
from berkeley import select

OUT_BYTES_MAX = 1 << 16


def turn(peer, out, events):
    """Takes and gives what goes without waiting; false if the connection has ended."""
    try:
        if events & select.EPOLLIN:
            data = peer.recv(4096)
            out += data
            if not data:
                return False
        if out:
            del out[: peer.send(out)]
    except BlockingIOError:
        pass
    except ConnectionError:
        return False
    return not events & (select.EPOLLERR | select.EPOLLHUP)


def serve(listener, epoll):
    listener.setblocking(False)
    epoll.register(listener, select.EPOLLIN)
    peers = {}
    while True:
        for number, events in epoll.poll():
            if number == listener.fileno():
                with contextlib.suppress(BlockingIOError):
                    peer, _address = listener.accept()
                    peer.setblocking(False)
                    peers[peer.fileno()] = peer, bytearray()
                    epoll.register(peer, select.EPOLLIN)
                continue
            peer, out = peers[number]
            if turn(peer, out, events):
                # Who takes nothing is not listened to either: memory has a limit.
                wanted = select.EPOLLIN if len(out) < OUT_BYTES_MAX else 0
                epoll.modify(number, wanted | (select.EPOLLOUT if out else 0))
            else:
                epoll.unregister(number)
                del peers[number]
                peer.close()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("port", type=int, nargs="?", default=7000, help="0: any that is free")
where = ("127.0.0.1", parser.parse_args().port)
with socket.create_server(where) as listener, contextlib.suppress(KeyboardInterrupt):
    print("port", listener.getsockname()[1], flush=True)
    with select.epoll() as epoll:
        serve(listener, epoll)
