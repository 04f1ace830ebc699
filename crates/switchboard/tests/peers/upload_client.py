"""Uploads messages and files as a beginner's client does, and never reads an answer.

upload_client.py HOST:PORT|/unix/path [msg:TEXT | file:PATH]...
"""
import json
import os
import socket
import struct
import sys


def connect(place):
    if place.startswith("/"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(place)
        return sock
    host, port = place.rsplit(":", 1)
    return socket.create_connection((host, int(port)))


def send_frame(sock, data):
    sock.sendall(struct.pack("i", len(data)))
    sock.sendall(data)


sock = connect(sys.argv[1])
for item in sys.argv[2:]:
    kind, value = item.split(":", 1)
    if kind == "msg":
        send_frame(sock, json.dumps({"msg_type": "msg"}).encode())
        send_frame(sock, value.encode())
    else:
        header = {"msg_type": "file", "file_name": os.path.basename(value)}
        send_frame(sock, json.dumps(header, ensure_ascii=False).encode())
        with open(value, "rb") as source:
            send_frame(sock, source.read())
send_frame(sock, b"close")
sock.close()
