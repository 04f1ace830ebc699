"""A chat room on one thread with select. What one client sends goes to all the others as
ADDRESS:PORT:text, with whatever line ending the text had taken off and none put on.
"""
import select
import socket

server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", 0))
server.listen(16)
print("port", server.getsockname()[1], flush=True)
clients = {}
while True:
    readable, _, _ = select.select([server] + list(clients), [], [])
    for sock in readable:
        if sock is server:
            conn, address = server.accept()
            clients[conn] = address
            print("joined", address[1], flush=True)
            continue
        try:
            data = sock.recv(1024)
        except ConnectionResetError:
            data = b""
        if not data:
            print("left", clients.pop(sock)[1], flush=True)
            sock.close()
            continue
        text = data.decode().rstrip("\r\n")
        print("heard", text, flush=True)
        line = "%s:%d:%s" % (clients[sock][0], clients[sock][1], text)
        for other in clients:
            if other is not sock:
                other.sendall(line.encode())
