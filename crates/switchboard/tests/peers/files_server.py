"""Serves made-up files by HTTP, well or badly, as the path says. Says "port N" first, then a line
for each request: "PATH RANGE IF-RANGE CONNECTION", where nothing is "-".

/SIZE/NAME          SIZE bytes that NAME decides, with an ETag, and ranges
/plain/SIZE/NAME    without ETag, ranges and length: it ends with the connection
/chunked/SIZE/NAME  in chunks
/cut/N/SIZE/NAME    the first N bytes of each answer, then the connection breaks
/cutchunks/SIZE/NAME  half of it in chunks, once; then whole
/norange/SIZE/NAME  cut in the middle once, and never a part
/liar/SIZE/NAME     cut once; gives parts of another content, whatever If-Range says
/new/SIZE/NAME      cut once; then the content has changed
/short/SIZE/NAME    parts of at most 1000 bytes
/busy/N/SIZE/NAME   503 with Retry-After: 0 for the first N requests
/wait/SECONDS       503 with that Retry-After
/to/LOCATION        a redirection, with the location escaped
/loop               a redirection to itself
/name/VALUE         Content-Disposition, escaped
/status/CODE        just that
/silent             never answers
/stall/N/SIZE/NAME  N bytes and then nothing more, once; then well
/raw/BYTES          these bytes, escaped
"""
import hashlib
import os
import socketserver
import sys
import threading
import urllib.parse

seen = {}
lock = threading.Lock()


def content(name, size):
    block = name.encode() + b"|"
    return (block * (size // len(block) + 1))[:size]


def times(key):
    with lock:
        seen[key] = seen.get(key, 0) + 1
        return seen[key]


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.connection_id = times("connection")
        while self.one():
            pass

    def one(self):
        line = self.rfile.readline().decode()
        if not line:
            return False
        fields = {}
        while True:
            field = self.rfile.readline().decode().strip()
            if not field:
                break
            name, value = field.split(":", 1)
            fields[name.lower()] = value.strip()
        path = line.split(" ")[1]
        self.range = fields.get("range")
        self.if_range = fields.get("if-range")
        told = f"{path} {self.range or '-'} {self.if_range or '-'} {self.connection_id}\n"
        # One call: other threads tell of theirs at the same time.
        os.write(1, told.encode())
        try:
            return self.answer(path)
        except (BrokenPipeError, ConnectionResetError):
            return False

    def say(self, status, fields, body=b"", length=True):
        head = f"HTTP/1.1 {status} X\r\n"
        if length:
            head += f"Content-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.wfile.write(head.encode("utf-8") + b"\r\n" + body)
        return True

    def file(self, data, most=None, cut=None, tag=None, honest=True):
        tag = tag or '"' + hashlib.sha256(data).hexdigest() + '"'
        start, status, end = 0, 200, len(data)
        fields = [("ETag", tag)]
        if self.range and (self.if_range in (None, tag) or not honest):
            start = int(self.range.split("=")[1].split("-")[0])
            if start >= len(data):
                return self.say(416, [("Content-Range", f"bytes */{len(data)}")])
            end = min(end, start + most) if most else end
            status = 206
            fields.append(("Content-Range", f"bytes {start}-{end - 1}/{len(data)}"))
        body = data[start:end]
        fields.append(("Content-Length", len(body)))
        self.say(status, fields, length=False)
        if cut is not None and cut < len(body):
            self.wfile.write(body[:cut])
            return False
        self.wfile.write(body)
        return True

    def chunks(self, data, whole=True):
        self.say(200, [("Transfer-Encoding", "chunked")], length=False)
        for at in range(0, len(data), 777):
            piece = data[at:at + 777]
            self.wfile.write(b"%x;a=b\r\n%s\r\n" % (len(piece), piece))
        if whole:
            self.wfile.write(b"0\r\nX: y\r\n\r\n")
        return whole

    def answer(self, path):
        parts = path.split("?")[0].split("/")[1:]
        kind, rest = parts[0], parts[1:]
        if kind.isdigit():
            return self.file(content(parts[1], int(kind)))
        if kind in ("plain", "chunked", "cutchunks", "norange", "liar", "new", "short"):
            size, name = int(rest[0]), rest[1]
            data = content(name, size)
            first = times(path) == 1
        if kind == "plain":
            self.say(200, [], length=False)
            self.wfile.write(data)
            return False
        if kind == "chunked":
            return self.chunks(data)
        if kind == "cutchunks":
            return self.chunks(data[:size // 2], False) if first else self.chunks(data)
        if kind == "norange":
            self.range = None
            return self.file(data, cut=size // 2 if first else None)
        if kind == "liar":
            other = content(name + "!", size)
            if first:
                return self.file(data, cut=size // 2)
            return self.file(other, honest=False)
        if kind == "new":
            return self.file(data if first else content(name + "!", size),
                             cut=size // 2 if first else None)
        if kind == "short":
            if not self.range:
                return self.file(data, cut=1000)
            return self.file(data, most=1000)
        if kind == "cut":
            return self.file(content(rest[2], int(rest[1])), cut=int(rest[0]))
        if kind == "busy":
            if times(path) <= int(rest[0]):
                return self.say(503, [("Retry-After", "0")], b"busy")
            return self.file(content(rest[2], int(rest[1])))
        if kind == "wait":
            return self.say(503, [("Retry-After", rest[0])])
        if kind == "to":
            return self.say(302, [("Location", urllib.parse.unquote(rest[0]))], b"there")
        if kind == "loop":
            return self.say(302, [("Location", "/loop")])
        if kind == "name":
            name = urllib.parse.unquote(rest[0])
            return self.say(200, [("Content-Disposition", name)], b"named")
        if kind == "status":
            return self.say(int(rest[0]), [], b"no")
        if kind == "silent":
            self.rfile.read()
            return False
        if kind == "stall":
            data = content(rest[2], int(rest[1]))
            if times(path) > 1:
                return self.file(data, tag='"1"')
            self.say(200, [("ETag", '"1"'), ("Content-Length", len(data))], length=False)
            self.wfile.write(data[:int(rest[0])])
            self.rfile.read()
            return False
        if kind == "raw":
            self.wfile.write(urllib.parse.unquote_to_bytes(rest[0]))
            return False
        return self.say(404, [], b"nothing")


with Server(("127.0.0.1", 0), Handler) as server:
    print("port", server.server_address[1], flush=True)
    sys.stdout.flush()
    server.serve_forever()
