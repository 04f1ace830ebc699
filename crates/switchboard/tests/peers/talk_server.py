"""Talks with whoever calls, over UDP: shows each message, answers with a line that is typed."""
import socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print("port", sock.getsockname()[1], flush=True)
while True:
    data, address = sock.recvfrom(1024)
    print("%s:%d says %s" % (address[0], address[1], data.decode()), flush=True)
    reply = input().strip()
    sock.sendto(reply.encode(), address)
