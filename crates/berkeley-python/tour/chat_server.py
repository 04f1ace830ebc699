"""A room on one thread, by select: what one says goes to all others. `/nick NAME` gives a name."""
import argparse
import contextlib

import berkeley as socket
from berkeley import select

LINE_BYTES_MAX, OUT_BYTES_MAX = 1 << 12, 1 << 20


class Member:
    def __init__(self, address):
        self.name, self.unread, self.out = "%s:%d" % address[:2], b"", b""


def hear(member, data, members):
    """Takes what came; false if the member has left, or talks without end."""
    # It is no line: it may be a part of one, or several.
    *lines, member.unread = (member.unread + data).split(b"\n")
    for line in lines:
        text = line.decode(errors="replace").rstrip("\r")
        if text.startswith("/nick "):
            member.name = text[6:]
            continue
        for other in members:
            if other is not member:
                other.out += f"{member.name}: {text}\n".encode()
    return data and len(member.unread) <= LINE_BYTES_MAX


def serve(listener):
    members = {}
    while True:
        writing = [sock for sock, member in members.items() if member.out]
        readable, writable, _ = select.select([listener, *members], writing, [])
        for sock in readable:
            if sock is listener:
                fresh, address = listener.accept()
                fresh.setblocking(False)
                members[fresh] = Member(address)
                continue
            data = b""
            with contextlib.suppress(ConnectionError):
                data = sock.recv(4096)
            if not hear(members[sock], data, members.values()):
                del members[sock]
                sock.close()
        for sock, member in list(members.items()):
            with contextlib.suppress(ConnectionError):
                if sock in writable:
                    member.out = member.out[sock.send(member.out):]
            # Who takes nothing would fill the memory with what waits for it.
            if len(member.out) > OUT_BYTES_MAX:
                del members[sock]
                sock.close()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("port", type=int, nargs="?", default=8000, help="0: any that is free")
where = ("127.0.0.1", parser.parse_args().port)
with socket.create_server(where) as listener, contextlib.suppress(KeyboardInterrupt):
    print("port", listener.getsockname()[1], flush=True)
    serve(listener)
