#!/usr/bin/env python3
"""ftpipe and huggingface_hub use one cache: what either has fetched, the other finds in place.

    check_hub.py build/ftpipe

Needs huggingface_hub. Starts a server on loopback addresses with the hub's addresses, redirections and entity tags, lets each
program fill a cache, and the other one read it. Prints the layout that the client made, as record_hub.py does, with --layout.
"""
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 5000  # from here on a file lies on the other host, as with Git LFS
asked = []  # (method, host, path, token)


def git_blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    root = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", headers.get("X-Size", str(len(body))))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        asked.append((self.command, self.server.server_address[0], path, self.headers.get("Authorization")))
        listing = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/revision/[^/]+)?", path)
        resolved = re.fullmatch(r"(?:/datasets)?/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        tree = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/[^/]+", path)
        if tree and os.path.isdir(os.path.join(self.root, tree[2])):
            entries = []
            for name in sorted(os.listdir(os.path.join(self.root, tree[2]))):
                data = open(os.path.join(self.root, tree[2], name), "rb").read()
                entries.append({"type": "file", "path": name, "size": len(data), "oid": git_blob(data)})
                if len(data) >= LARGE:
                    entries[-1]["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}
            self.answer(200, {"Content-Type": "application/json"}, json.dumps(entries).encode())
        elif path.startswith("/lfs/"):
            data = open(os.path.join(self.root, path[5:]), "rb").read()
            first = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            self.answer(206 if first else 200, {"ETag": '"%s"' % hashlib.md5(data).hexdigest(), "Accept-Ranges": "bytes"},
                        data[int(first[1]):] if first else data)
        elif listing and os.path.isdir(os.path.join(self.root, listing[2])):
            names = sorted(os.listdir(os.path.join(self.root, listing[2])))
            body = {"id": listing[2], "sha": COMMIT, "gated": False, "private": False, "tags": [], "downloads": 0, "likes": 0,
                    "cardData": {"license": "apache-2.0"}, "siblings": [{"rfilename": n} for n in names]}
            self.answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())
        elif resolved and os.path.isfile(os.path.join(self.root, resolved[1], resolved[2])):
            name = resolved[1] + "/" + resolved[2]
            data = open(os.path.join(self.root, name), "rb").read()
            if len(data) < LARGE:
                self.answer(200, {"ETag": '"%s"' % git_blob(data), "X-Repo-Commit": COMMIT}, data)
            else:
                self.answer(302, {"Location": "http://127.0.0.2:%d/lfs/%s" % (self.server.server_port, name), "X-Repo-Commit": COMMIT,
                                  "X-Linked-ETag": '"%s"' % hashlib.sha256(data).hexdigest(), "X-Linked-Size": str(len(data))})
        else:
            self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})


def serve(root):
    Hub.root = root
    here = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    there = http.server.ThreadingHTTPServer(("127.0.0.2", here.server_port), Hub)
    for server in here, there:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d" % here.server_port


passed = failed = 0


def check(name, holds, said=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print("FAILED", name, said, sep="\n")


CLIENT = """
import sys
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download
what, kind, name = sys.argv[1:4]
if what == "snapshot": print(snapshot_download(name, repo_type=kind))
elif what == "scan": print(sum(r.size_on_disk for r in scan_cache_dir().repos), [r.repo_id for r in scan_cache_dir().repos], len(scan_cache_dir().warnings))
else:
    for f in sys.argv[4:]: print(hf_hub_download(name, f, repo_type=kind))
"""


def client(env, *words):
    return subprocess.run([sys.executable, "-c", CLIENT, *words], env=env, capture_output=True, text=True)


def state(folder):
    """Paths with what the file system says of them: whatever is written shows."""
    out = {}
    for at, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(at, name)
            s = os.lstat(path)
            out[os.path.relpath(path, folder)] = (s.st_ino, s.st_size, s.st_mtime_ns)
    return out


def main():
    ftpipe = os.path.abspath(sys.argv[1])
    work = tempfile.mkdtemp()
    site = os.path.join(work, "site")
    os.makedirs(site + "/team/rows")
    subprocess.run([ftpipe, "lua", "tests/demo/make.lua", work, "200"], check=True)
    os.rename(work + "/encoder", site + "/team/small")
    open(site + "/team/small/README.md", "w").write("not needed\n")
    for name in "train.csv", "test.csv":
        open(site + "/team/rows/" + name, "w").write(open(work + "/reviews.csv").read())
    url = serve(site)

    def env(home, **more):
        out = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "FTPIPE_"))}
        return dict(out, HF_HOME=os.path.join(work, home), HF_ENDPOINT=url, HF_TOKEN="hf_secret", FTPIPE_CACHE=os.path.join(work, "store"),
                    HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_XET="1", **more)

    def run(environment, command, *words):
        return subprocess.run([ftpipe, command, "pipelines/sentiment.lua", "--set", "model=hf:team/small", "--set", "data=hf:team/rows", *words],
                              env=environment, capture_output=True, text=True)

    # The client fills a cache, ftpipe uses it in place.
    files = sorted(set(os.listdir(site + "/team/small")) - {"README.md"})
    got = client(env("theirs"), "files", "model", "team/small", *files)
    check("the client fetches a model", got.returncode == 0, got.stderr)
    got = client(env("theirs"), "snapshot", "dataset", "team/rows")
    check("and a data set", got.returncode == 0, got.stderr)
    before, n = state(os.path.join(work, "theirs")), len(asked)
    told = run(env("theirs"), "plan", "--offline")
    check("ftpipe finds both", told.stdout.count(": here, ") == 2 and told.stdout.count(COMMIT[:12]) == 2, told.stdout + told.stderr)
    done = run(env("theirs"), "run", "--offline", "--quiet", "--set", "head_epochs=1", "--set", "epochs=1", "--out", work + "/a")
    check("and runs with them", done.returncode == 0, done.stderr)
    check("without asking anybody", len(asked) == n, str(asked[n:]))
    check("and leaves the cache as it was", state(os.path.join(work, "theirs")) == before)
    if "--layout" in sys.argv:
        subprocess.run([sys.executable, "tests/record/record_hub.py", work + "/theirs/hub/models--team--small"])

    # ftpipe fills a cache, the client uses it in place.
    got = run(env("ours"), "fetch")
    check("ftpipe fetches both", got.returncode == 0, got.stderr)
    before, n = state(os.path.join(work, "ours")), len(asked)
    offline = env("ours", HF_HUB_OFFLINE="1")
    got = client(offline, "files", "model", "team/small", *files)
    check("the client finds the model", got.returncode == 0 and len(got.stdout.split()) == len(files), got.stderr)
    for path in got.stdout.split():
        name = os.path.basename(path)
        check("with the right bytes: " + name, open(path, "rb").read() == open(site + "/team/small/" + name, "rb").read())
    got = client(offline, "files", "dataset", "team/rows", "train.csv", "test.csv")
    check("and the data set", got.returncode == 0, got.stderr)
    check("offline nobody is asked", len(asked) == n)
    got = client(env("ours"), "files", "model", "team/small", *files)
    check("online it asks what is new", got.returncode == 0 and len(asked) > n, got.stderr)
    bodies = [a for a in asked[n:] if a[0] == "GET" and "/api/" not in a[2]]
    check("and fetches nothing", not bodies, str(bodies))
    got = client(env("ours"), "scan", "model", "x")
    check("it counts what is there, without a warning", got.returncode == 0 and "team/small" in got.stdout and got.stdout.split()[-1] == "0",
          got.stdout + got.stderr)
    after = state(os.path.join(work, "ours"))
    check("what ftpipe wrote stays as it was", all(after.get(k) == v for k, v in before.items()),
          str([k for k, v in before.items() if after.get(k) != v]))
    names = sorted(re.sub(r"^hub/", "", os.path.join(os.path.dirname(p), os.path.basename(p))) for p in before)
    theirs = sorted(re.sub(r"^hub/", "", p) for p in state(os.path.join(work, "theirs")))
    known = [p for p in names if p not in theirs]
    check("and lies where the client puts it", not known, str(known))

    # The client gets what ftpipe lacks into the same cache.
    got = client(env("ours"), "snapshot", "model", "team/small")
    check("the client adds to ftpipe's cache", got.returncode == 0 and os.path.exists(os.path.join(got.stdout.strip(), "README.md")), got.stderr)
    told = run(env("ours"), "plan", "--offline")
    check("which ftpipe still finds", told.stdout.count(": here, ") == 2, told.stdout + told.stderr)
    check("the token went to the hub", any(a[3] and a[1] == "127.0.0.1" for a in asked))
    check("and nowhere else", not any(a[3] for a in asked if a[1] != "127.0.0.1"), str([a for a in asked if a[3] and a[1] != "127.0.0.1"]))
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


sys.exit(main())
