"""Takes messages and files from one client: prints the ones, stores the others.

upload_server.py FOLDER
"""
import json
import os
import socket
import struct
import sys


def read_exactly(conn, size):
    data = b""
    while len(data) < size:
        piece = conn.recv(size - len(data))
        if not piece:
            raise EOFError("the stream ended inside a frame")
        data += piece
    return data


def read_frame(conn):
    (size,) = struct.unpack("i", read_exactly(conn, 4))
    return read_exactly(conn, size)


server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(5)
print("port", server.getsockname()[1], flush=True)
conn, address = server.accept()
while True:
    head = read_frame(conn)
    if head == b"close":
        print("closed", flush=True)
        break
    header = json.loads(head.decode())
    if header["msg_type"] == "msg":
        print("message", read_frame(conn).decode(), flush=True)
    else:
        name = header["file_name"]
        with open(os.path.join(sys.argv[1], name), "wb") as target:
            target.write(read_frame(conn))
        print("file", name, flush=True)
conn.close()
