"""Answers the time over UDP, in the format that the datagram holds."""
import socket
import time

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print("port", sock.getsockname()[1], flush=True)
while True:
    data, address = sock.recvfrom(1024)
    form = data.decode() or "%Y-%m-%d %X"
    print("asked", form, flush=True)
    sock.sendto(time.strftime(form).encode(), address)
