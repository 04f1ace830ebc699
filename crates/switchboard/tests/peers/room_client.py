"""Asks the parcel door for answers, with nothing but the standard library.

room_client.py HOST:PORT send ROOM FROM ID TEXT     sends, prints the answer, and closes
room_client.py HOST:PORT follow ROOM [SINCE EPOCH]  prints what happens in a room, for ever
"""
import json
import socket
import struct
import sys


def send_frame(sock, data):
    sock.sendall(struct.pack("i", len(data)) + data)


def send_parcel(sock, header, payload=b""):
    send_frame(sock, json.dumps(header).encode())
    send_frame(sock, payload)


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            sys.exit(0)
        data += more
    return data


def read_frame(sock):
    (length,) = struct.unpack("i", read_exactly(sock, 4))
    return read_exactly(sock, length)


def show(sock):
    header = json.loads(read_frame(sock))
    if "msg_type" in header:
        header["payload"] = read_frame(sock).decode()
    print(json.dumps(header, ensure_ascii=False), flush=True)


host, port = sys.argv[1].rsplit(":", 1)
with socket.create_connection((host, int(port))) as sock:
    if sys.argv[2] == "send":
        room, name, number, text = sys.argv[3:]
        header = {"msg_type": "msg", "room": room, "from": name, "id": number,
                  "sb": {"v": 2, "want": ["ack"]}}
        send_parcel(sock, header, text.encode())
        show(sock)
        send_frame(sock, b"close")
    else:
        sb = {"v": 2}
        if len(sys.argv) > 4:
            sb["since"], sb["epoch"] = int(sys.argv[4]), int(sys.argv[5])
        send_parcel(sock, {"msg_type": "join", "room": sys.argv[3], "sb": sb})
        while True:
            show(sock)
