#!/usr/bin/env python3
"""A connector for Remint in Python: API tokens in a folder.

It plays all three roles over `system.folder`:
  issuer    tokens/NAME.json   the hashes of the tokens that NAME accepts; those of `admins` may do what is below
            sessions/NAME.json what was begun with a token and outlives it
  store     store/PATH         a JSON file with named fields, where programs read their tokens
  consumer  run/NAME.sock      a program that answers `status` and `reload` on a socket

Each line on standard input is one JSON object, each line on standard output is its answer; protocol.schema.json has the
words. Secrets come on standard input only, and are never written anywhere but to where they belong.
"""
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import socket
import sys
from datetime import datetime, timezone
from pathlib import Path

DECLARED = {
    "verbs": ["check", "mint", "verify", "disable", "enable", "revoke", "list-derived", "end-derived", "probe",
              "enumerate", "recover", "write", "read", "reload", "observe"],
    "issuer": {"slots": "many", "madeBy": "remint", "probe": "free", "strategies": {"overlap": 4},
               "endpoints": ["folder"], "verifiesAt": 0, "reversibleDisable": True},
    "store": {"compareAndSet": True, "staged": False, "versioned": False},
    "consumer": {"grades": ["self-reported"]},
}


class Refused(Exception):
    """An answer that is an error, with its class."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def digest(secret):
    return hashlib.sha256(secret.encode()).hexdigest()


class Folder:
    """The system. All of one request happens under one lock, so that two of them never mix."""

    def __init__(self, root):
        self.root = Path(root)

    @contextlib.contextmanager
    def locked(self):
        try:
            lock = open(self.root / ".lock", "a", encoding="utf-8")
        except OSError:
            raise Refused("unreachable", "the folder cannot be opened") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def path(self, part, name):
        path = (self.root / part / name).resolve()
        if not path.is_relative_to((self.root / part).resolve()):
            raise Refused("invalid", "the name leads out of the folder")
        return path

    def load(self, path):
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Refused("missing", f"there is no {path.name}") from None

    def save(self, path, content):
        if not path.parent.is_dir():
            raise Refused("missing", f"there is no folder {path.parent.name}")
        beside = path.with_name(path.name + ".new")
        with open(beside, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)

    def tokens(self, target):
        path = self.path("tokens", target + ".json")
        return path, self.load(path)


class Office:
    """One method per verb: takes `with` of the request, returns what stands under `ok`."""

    def __init__(self, request):
        self.folder = Folder(request["system"]["folder"])
        self.operation = request["operation"]
        self.actor = request.get("actor")

    def administrator(self):
        # Remint's own token is one of the office's, and so is replaced like any other.
        if not self.actor or self.accepted({"name": "admins"}, self.actor) is None:
            raise Refused("denied", "the actor is no administrator of this folder")

    def check(self, path=None):
        self.administrator()
        if path is not None and not os.access(self.folder.path("store", path).parent, os.W_OK):
            raise Refused("denied", "the store cannot be written there")
        return {}

    # ---- issuer ----

    def mint(self, target, strategy, proposed, old=None, oldUsername=None):
        self.administrator()
        path, tokens = self.folder.tokens(target["name"])
        for version, token in tokens.items():
            if token["operation"] == self.operation:  # asked again: not done again
                return {"version": version, "material": {"secret": proposed}}
        version = "token-" + secrets.token_hex(8)
        tokens[version] = {"hash": digest(proposed), "operation": self.operation, "enabled": True,
                           "created": datetime.now(timezone.utc).isoformat()}
        self.folder.save(path, tokens)
        return {"version": version, "material": {"secret": proposed}}

    def accepted(self, target, material):
        _, tokens = self.folder.tokens(target["name"])
        given = digest(material["secret"])
        for version, token in tokens.items():
            if token["enabled"] and hmac.compare_digest(given, token["hash"]):
                return version
        return None

    def verify(self, target, material):
        version = self.accepted(target, material)
        if version is None:
            raise Refused("denied", "no token of this target has that value")
        return {"version": version, "principal": target["name"]}

    def probe(self, target, material, endpoint):
        return "accepted" if self.accepted(target, material) else "denied"

    def change(self, target, version, change):
        self.administrator()
        path, tokens = self.folder.tokens(target["name"])
        if version in tokens:
            change(tokens)
            self.folder.save(path, tokens)
        return {}

    def disable(self, target, version):
        return self.change(target, version, lambda tokens: tokens[version].update(enabled=False))

    def enable(self, target, version):
        return self.change(target, version, lambda tokens: tokens[version].update(enabled=True))

    def revoke(self, target, version):
        return self.change(target, version, lambda tokens: tokens.pop(version))

    def sessions(self, target, version):
        path = self.folder.path("sessions", target["name"] + ".json")
        held = self.folder.load(path) if path.exists() else {}
        return path, held, [{"id": name, "what": "session"} for name, of in held.items() if of == version]

    def list_derived(self, target, version):
        self.administrator()
        return self.sessions(target, version)[2]

    def end_derived(self, target, version):
        self.administrator()
        path, held, begun = self.sessions(target, version)
        if begun:
            self.folder.save(path, {name: of for name, of in held.items() if of != version})
        return [{"derived": session, "outcome": "ended"} for session in begun]

    def enumerate(self, targets):
        self.administrator()
        asked, found = {target["name"] for target in targets}, []
        for path in sorted((self.folder.root / "tokens").glob("*.json")):
            name = path.name.removesuffix(".json")
            for version, token in self.folder.load(path).items():
                found.append({"version": version, "target": name if name in asked else None,
                              "label": token["operation"] or "without an operation",
                              "operation": token["operation"], "created": token["created"]})
        return found

    def recover(self, target, effect, effectOperation, version=None, proposed=None, **request):
        self.administrator()
        _, tokens = self.folder.tokens(target["name"])
        if effect == "mint":
            made = next((name for name, token in tokens.items() if token["operation"] == effectOperation), None)
            if made is None:
                return {"outcome": "not-done"}
            return {"outcome": "done", "minted": {"version": made, "material": {"secret": proposed}}}
        done = {"revoke": version not in tokens,
                "disable": version not in tokens or not tokens[version]["enabled"],
                "enable": version in tokens and tokens[version]["enabled"]}
        if effect not in done:
            raise Refused("unsupported", f"the outcome of {effect} is not remembered")
        return {"outcome": "done" if done[effect] else "not-done"}

    # ---- store ----

    def write(self, path, fields, expect=None):
        self.administrator()
        place = self.folder.path("store", path)
        held = self.folder.load(place) if place.exists() else {"version": "0", "fields": {}}
        if held.get("operation") == self.operation:
            return {"version": held["version"]}
        if expect is not None and expect != held["version"]:
            raise Refused("conflict", f"the file is at version {held['version']}")
        version = str(int(held["version"]) + 1)
        self.folder.save(place, {"version": version, "operation": self.operation,
                                 "fields": held["fields"] | fields})
        return {"version": version}

    def read(self, path):
        self.administrator()
        held = self.folder.load(self.folder.path("store", path))
        return {"version": held["version"], "fields": held["fields"]}

    # ---- consumer ----

    def ask(self, workload, word):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(5)
                line.connect(str(self.folder.path("run", workload["reference"] + ".sock")))
                line.sendall(word.encode() + b"\n")
                return line.makefile(encoding="utf-8").readline().strip()
        except FileNotFoundError:
            raise Refused("missing", f"{workload['name']} does not run") from None
        except OSError:
            raise Refused("unreachable", f"{workload['name']} does not answer") from None

    def reload(self, workload):
        self.ask(workload, "reload")
        return {}

    def observe(self, workload, expected):
        seen = self.ask(workload, "status")
        word = "new" if seen == expected["new"] else "old" if seen == expected.get("old") else "other"
        return {"seen": word, "grade": "self-reported"}


def answer(request):
    if request["protocol"] != 1:
        raise Refused("unsupported", "this program speaks version 1 of the protocol")
    verb = request["verb"]
    if verb == "describe":
        return DECLARED
    if verb not in DECLARED["verbs"]:
        raise Refused("unsupported", f"this program does not {verb}")
    office = Office(request)
    with office.folder.locked():
        return getattr(office, verb.replace("-", "_"))(**request["with"])


def main():
    for line in sys.stdin:
        try:
            said = {"ok": answer(json.loads(line))}
        except Refused as refused:
            said = {"error": {"kind": refused.kind, "message": str(refused)}}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
