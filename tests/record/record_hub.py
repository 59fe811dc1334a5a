#!/usr/bin/env python3
"""The layout of the folder in which huggingface_hub keeps a repository, as lines for tests/net/fetch.sh:

    record_hub.py .../hub/models--OWNER--NAME > tests/fixtures/hub_layout.txt

"link PATH TARGET" for links, "text PATH CONTENT" for references. Fill the cache first with hf_hub_download of the files of
tests/demo/make.lua's encoder, from a server with the hub's layout (tests/net/hub_server.c).
"""
import os
import sys

root = sys.argv[1]
for folder, names, files in sorted(os.walk(root)):
    names.sort()
    for name in sorted(files):
        path = os.path.join(folder, name)
        shown = os.path.relpath(path, root)
        if os.path.islink(path):
            print("link", shown, os.readlink(path))
        elif shown.startswith("refs/"):
            print("text", shown, open(path).read())
