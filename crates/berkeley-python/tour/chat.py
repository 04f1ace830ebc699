"""Joins a hub's room, or chat_server.py's: says each line of the input, shows what others say."""
import argparse
import sys
import threading

from berkeley import hub

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("host")
parser.add_argument("port", type=int)
parser.add_argument("name")
arguments = parser.parse_args()


def show(chat):
    for line in chat:
        print(line, flush=True)


with hub.Chat(arguments.host, arguments.port, arguments.name) as chat:
    threading.Thread(target=show, args=(chat,), daemon=True).start()
    for line in sys.stdin:
        chat.say(line.rstrip("\n"))
