"""Stands between Remint and a program: writes down every line, and does wrong what it is told to.

    between.py FOLDER PROGRAM [ARGUMENT...]

FOLDER/lines gets every line as {verb, request, answer}, and FOLDER/seen what a neighbour could see of this process.
FOLDER/fault holds `KIND` or `KIND VERB` of the one fault to do next. FOLDER/crash holds {left, how}: so many requests go
through but the last, which is `Unanswered`, `Unread`, or not even sent (`Refused`); from then on nothing is answered.
"""
import json
import subprocess
import sys
from pathlib import Path

folder, program = Path(sys.argv[1]), sys.argv[2:]
child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
fault = folder / "fault"
crash = folder / "crash"


def counted(verb):
    """True of the request of the crash that still arrives. Ends this program where nothing does."""
    if not crash.exists():
        return False
    at = json.loads(crash.read_text())
    if at["left"] == 0:
        sys.exit(0)
    if verb == "describe":
        return False
    at["left"] -= 2 if at["how"] == "Refused" and at["left"] == 2 else 1
    crash.write_text(json.dumps(at))
    if at["left"] == 0 and at["how"] == "Unread":
        sys.exit(0)
    return at["left"] == 0 and at["how"] == "Unanswered"


def armed(kind, verb=None):
    wanted = kind if verb is None else f"{kind} {verb}"
    if fault.exists() and fault.read_text().strip() == wanted:
        fault.unlink()
        return True
    return False


def forward(line):
    child.stdin.write(line)
    child.stdin.flush()
    return child.stdout.readline()


with open(folder / "seen", "ab") as seen:
    seen.write(Path("/proc/self/cmdline").read_bytes() + b"\n" + Path("/proc/self/environ").read_bytes() + b"\n")
for line in sys.stdin:
    verb = json.loads(line)["verb"]
    last = counted(verb)
    if verb != "describe" and armed("throttle"):
        answer = '{"error": {"kind": "throttled", "message": "one call too many", "retryAfterSeconds": 7}}\n'
    elif verb == "revoke" and armed("lying-revoke"):
        answer = '{"ok": {}}\n'
    else:
        answer = forward(line)
        if last or armed("lost-answer", verb):
            sys.exit(0)
    with open(folder / "lines", "a", encoding="utf-8") as lines:
        lines.write(json.dumps({"verb": verb, "request": json.loads(line), "answer": json.loads(answer)}) + "\n")
    print(answer, end="", flush=True)
child.stdin.close()
sys.exit(child.wait())
