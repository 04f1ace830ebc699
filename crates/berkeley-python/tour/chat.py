"""Shows what is said in a hub's room, and says each line of the input: python3 chat.py HOST PORT NAME"""
import sys
import threading

from berkeley import hub

with hub.Chat(sys.argv[1], int(sys.argv[2]), sys.argv[3]) as chat:
    def show():
        for line in chat:
            print(line, flush=True)

    threading.Thread(target=show, daemon=True).start()
    for line in sys.stdin:
        chat.say(line.rstrip("\n"))
