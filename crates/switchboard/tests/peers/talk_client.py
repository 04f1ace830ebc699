"""Talks with somebody out of a list of contacts, over UDP. `q` ends.

talk_client.py NAME=HOST:PORT...; then a name, then a line for each message
"""
import socket
import sys

contacts = {}
for item in sys.argv[1:]:
    name, address = item.split("=")
    host, port = address.split(":")
    contacts[name] = (host, int(port))

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(8)
who = input()
while True:
    message = input().strip()
    if not message:
        continue
    if message == "q":
        break
    sock.sendto(message.encode(), contacts[who])
    data, address = sock.recvfrom(1024)
    print("%s answers %s" % (who, data.decode()), flush=True)
sock.close()
