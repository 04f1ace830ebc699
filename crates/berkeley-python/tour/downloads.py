"""Fetches many files by HTTP at once, on one thread that waits for none of them alone."""
import argparse
import os
import sys
import urllib.parse

import berkeley as socket
from berkeley import selectors

SILENT_SECONDS_MAX, BYTES_MAX = 30, 1 << 28


def download(url, folder):
    """Yields the socket and what it waits for, until the file is kept."""
    parts = urllib.parse.urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    where = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)[0]
    with socket.socket(where[0], where[1]) as s:
        s.setblocking(False)
        # Only begins: that one can write tells that it is connected, or that it failed.
        s.connect_ex(where[4])
        out, got = f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode(), bytearray()
        while out:
            yield s, selectors.EVENT_WRITE
            out = out[s.send(out):]
        while len(got) < BYTES_MAX:
            yield s, selectors.EVENT_READ
            if not (piece := s.recv(1 << 16)):
                break
            got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    lengths = [int(f[15:]) for f in fields if f.lower().startswith("content-length:")]
    if status.split()[1:2] != ["200"] or lengths not in ([], [len(body)]):
        raise ValueError(f"{status!r}, {len(body)} bytes of {lengths}")
    name = os.path.basename(parts.path) or "index.html"
    with open(os.path.join(folder, name), "xb") as file:
        file.write(body)
    print(f"{name}: {len(body)} bytes", flush=True)


def turn(url, work):
    """Lets one go on as far as it gets; answers how many failed."""
    try:
        if waits := next(work, None):
            selector.register(*waits, (url, work))
        return 0
    except (OSError, ValueError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder")
parser.add_argument("urls", nargs="+", metavar="http://HOST[:PORT]/PATH")
arguments = parser.parse_args()
selector = selectors.DefaultSelector()
failed = sum([turn(url, download(url, arguments.folder)) for url in arguments.urls])
while selector.get_map():
    if not (ready := selector.select(SILENT_SECONDS_MAX)):
        sys.exit(f"nothing came for {SILENT_SECONDS_MAX} seconds")
    for key, _events in ready:
        selector.unregister(key.fileobj)
        failed += turn(*key.data)
sys.exit(failed > 0)
