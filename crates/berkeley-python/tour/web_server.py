"""Serves the files of a folder to browsers: HTTP is lines of text on a socket."""
import argparse
import contextlib
import html
import mimetypes
import os
import threading
import urllib.parse

import berkeley as socket

SILENT_SECONDS_MAX, LINE_BYTES_MAX, FIELDS_MAX = 30, 8192, 100


def answer(peer, folder, target):
    """Sends a file, or the list of a folder."""
    path = os.path.realpath(folder + urllib.parse.unquote(urllib.parse.urlsplit(target).path))
    status, kind = "200 OK", mimetypes.guess_type(path)[0] or "application/octet-stream"
    # Neither `..` nor a link may lead out of the folder.
    if os.path.commonpath([path, folder]) != folder or not os.path.exists(path):
        status, kind, body = "404 Not Found", "text/plain", b"There is no such file here.\n"
    elif os.path.isdir(path):
        names = sorted(os.listdir(path))
        links = [f'<li><a href="{urllib.parse.quote(n)}">{html.escape(n)}</a>' for n in names]
        kind, body = "text/html; charset=utf-8", f"<ul>{''.join(links)}</ul>\n".encode()
    else:
        body = None
    length = os.path.getsize(path) if body is None else len(body)
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
    peer.sendall(head.encode() + b"Connection: close\r\n\r\n" + (body or b""))
    if body is None:
        with open(path, "rb") as file:
            # From the file to the socket without a copy in this process.
            peer.sendfile(file, count=length)


def talk(peer, folder):
    peer.settimeout(SILENT_SECONDS_MAX)
    with peer, peer.makefile("rb") as lines, contextlib.suppress(OSError, ValueError):
        request = lines.readline(LINE_BYTES_MAX).decode("latin-1").split()
        # The fields end with an empty line; none is needed here.
        fields = iter(lambda: lines.readline(LINE_BYTES_MAX).strip(), b"")
        if sum(1 for _, _ in zip(fields, range(FIELDS_MAX))) < FIELDS_MAX:
            if request[:1] == ["GET"] and len(request) == 3:
                answer(peer, folder, request[1])
            else:
                peer.sendall(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder")
parser.add_argument("port", type=int, nargs="?", default=8080, help="0: any that is free")
arguments = parser.parse_args()
where, folder = ("127.0.0.1", arguments.port), os.path.realpath(arguments.folder)
with socket.create_server(where) as listener, contextlib.suppress(KeyboardInterrupt):
    print("port", listener.getsockname()[1], flush=True)
    while True:
        peer, _address = listener.accept()
        threading.Thread(target=talk, args=(peer, folder), daemon=True).start()
