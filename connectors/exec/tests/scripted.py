"""A program that behaves as `system` tells it: {declares, answers: {VERB: LINE}, how, folder}."""
import json
import os
import socket
import subprocess
import sys

greeting = sys.stdin.readline()
system = json.loads(greeting)["system"]
if system.get("how") == "silent from the start":
    sys.exit(3)
print(json.dumps({"ok": system["declares"]}), flush=True)
line = sys.stdin.readline()
with open(system["folder"] + "/lines", "a", encoding="utf-8") as lines:
    lines.write(greeting + line)
if not line:
    sys.exit(0)
request = json.loads(line)
how = system.get("how")
if how == "hang":
    child = subprocess.Popen(["/bin/sleep", "1000"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tell:
        tell.connect(system["folder"] + "/pids")
        tell.sendall(f"{os.getpid()} {child.pid}\n".encode())
    child.wait()
if how == "leave a child":
    child = subprocess.Popen(["/bin/sleep", "1000"])
    with open(system["folder"] + "/child", "w", encoding="utf-8") as file:
        file.write(str(child.pid))
if how == "too long":
    print("x" * (2 * 1024 * 1024), flush=True)
if how == "silent":
    sys.exit(0)
if how == "complain":
    print("no such host", file=sys.stderr)
    sys.exit(1)
if how == "complain with the secret":
    print("login with", request["with"]["material"]["secret"], file=sys.stderr)
    sys.exit(1)
if how == "repeat the secret":
    print(json.dumps({"ok": {"version": "1", "principal": request["with"]["material"]["secret"]}}))
    sys.exit(0)
print(json.dumps(system["answers"][request["verb"]]), flush=True)
sys.exit(1 if how == "fail after the answer" else 0)
