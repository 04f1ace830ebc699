"""Prints each datagram as Python shows bytes, and answers it in capital letters."""
import socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print("port", sock.getsockname()[1], flush=True)
while True:
    data, address = sock.recvfrom(65536)
    print(repr(data), flush=True)
    sock.sendto(data.upper(), address)
