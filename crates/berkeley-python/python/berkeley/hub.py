"""The other end of a Switchboard hub: messages and files, the chat, the time.

    with hub.Parcels("localhost") as parcels:
        parcels.message("hello")
        parcels.file("cat.png")
"""

import json
import os

import berkeley as socket

CHAT_PORT, PARCELS_PORT, TIME_PORT = 8000, 8001, 9000

_PIECE_BYTES = 1 << 20


class Parcels:
    """A conversation in parcels: each is a frame with a JSON header and a frame with a payload.

    The hub answers nothing. How the conversation ends tells how it went: leaving the `with` raises
    ConnectionResetError if something was refused or could not be stored.
    """

    def __init__(self, host, port=PARCELS_PORT, timeout=None):
        self.socket = socket.create_connection((host, port), timeout)

    def message(self, text, **header):
        """Sends a message to everybody in the room."""
        self._head({"msg_type": "msg", **header})
        socket.send_frame(self.socket, text.encode())

    def file(self, path, **header):
        """Sends a file, under the last part of its name."""
        with open(path, "rb") as file:
            count = os.fstat(file.fileno()).st_size
            if count > 2**31 - 1:
                raise socket.FrameTooLong(f"{path}: {count} bytes do not fit into a frame")
            self._head({"msg_type": "file", "file_name": os.path.basename(path), **header})
            self.socket.sendall(count.to_bytes(4, "little"))
            self.socket.sendfile(file, count=count)

    def _head(self, header):
        socket.send_frame(self.socket, json.dumps(header).encode())

    def close(self):
        """Ends the conversation, and waits until everything is stored."""
        try:
            socket.send_frame(self.socket, b"close")
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(1 << 16):
                pass
        finally:
            self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        if kind is None:
            self.close()
        else:
            self.socket.close()


class Chat:
    """A place in the chat: `say` a line, and iterate over the lines that others say."""

    def __init__(self, host, port=CHAT_PORT, name=None):
        self.socket = socket.create_connection((host, port))
        self._lines = self.socket.makefile(encoding="utf-8", errors="replace", newline="\n")
        if name is not None:
            self.say(f"/nick {name}")

    def say(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def __iter__(self):
        return self

    def __next__(self):
        line = self._lines.readline()
        if not line:
            raise StopIteration
        return line.rstrip("\r\n")

    def close(self):
        self._lines.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()


def time(host, format="", port=TIME_PORT, timeout=5.0, tries=3):
    """The hub's local time in a format of strftime's; asked again if an answer is lost."""
    info = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(info[0], info[1]) as asker:
        asker.settimeout(timeout / tries)
        asker.connect(info[4])
        for last in reversed(range(tries)):
            asker.send(format.encode())
            try:
                return asker.recv(1024).decode()
            except TimeoutError:
                if not last:
                    raise
