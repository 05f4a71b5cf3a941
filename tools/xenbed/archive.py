# SPDX-License-Identifier: MIT
"""Archives in the form that a Linux kernel unpacks into its first root file system (cpio, "newc").

They stay uncompressed: to unpack under emulation costs more than to read. A kernel takes several archives one behind
the other, each padded to 512 octets."""

import os
import stat


class Archive:
    """Files, added under the names that they will have; `write()` puts them into one file."""

    def __init__(self):
        self._parts = []
        self._folders = set()
        self._inode = 1

    def add(self, name, content, mode=0o644):
        """One file with `content` (octets or text)."""
        octets = content.encode() if isinstance(content, str) else content
        name = name.strip("/")
        self._make_folders(name)
        self._entry(name, octets, stat.S_IFREG | mode)

    def add_file(self, name, path, mode=None):
        """A file of this machine; its permissions are kept unless `mode` is given."""
        with open(path, "rb") as file:
            content = file.read()
        self.add(name, content, stat.S_IMODE(os.stat(path).st_mode) if mode is None else mode)

    def write(self, path):
        with open(path, "wb") as file:
            file.write(self.octets())

    def octets(self):
        self._inode = 0
        parts, self._parts = self._parts, []
        self._entry("TRAILER!!!", b"", 0)
        parts += self._parts
        self._parts = parts[:-1]
        whole = b"".join(parts)
        return whole + bytes(-len(whole) % 512)

    def _make_folders(self, name):
        folder = os.path.dirname(name)
        if folder and folder not in self._folders:
            self._make_folders(folder)
            self._folders.add(folder)
            self._entry(folder, b"", stat.S_IFDIR | 0o755)

    def _entry(self, name, content, mode):
        fields = (self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        self._parts.append(head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4))
        self._inode += 1
