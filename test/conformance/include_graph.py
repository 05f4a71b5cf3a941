# SPDX-License-Identifier: MIT
"""Which header of the project includes which, read from the sources."""
import pathlib
import re

INCLUDE = re.compile(r'^\s*#\s*include\s*(<[^>]+>|"[^"]+")', re.MULTILINE)


class Header:
    def __init__(self, path, name):
        self.path = path            # where it is
        self.name = name            # how it is included: mirage/core/task.hpp
        self.text = path.read_text()
        self.includes = INCLUDE.findall(self.text)

    @property
    def layer(self):
        """core, net, hvt, ...; "" for headers directly in mirage/."""
        parts = self.name.split('/')
        return parts[1] if len(parts) > 2 else ''


def headers_below(root):
    """All headers of an include directory, by the name they are included with."""
    root = pathlib.Path(root)
    found = {}
    for path in sorted([*root.rglob('*.hpp'), *root.rglob('*.h')]):
        name = path.relative_to(root).as_posix()
        found[name] = Header(path, name)
    return found


def closure(name, headers):
    """`name` and every header of `headers` that it includes, directly or not."""
    seen, todo = set(), [name]
    while todo:
        at = todo.pop()
        if at in seen or at not in headers:
            continue
        seen.add(at)
        todo += [i[1:-1] for i in headers[at].includes]
    return seen


def cycle(headers):
    """The names of headers that include each other in a ring; empty when there is none."""
    state, path = {}, []

    def visit(name):
        if state.get(name) == 'done' or name not in headers:
            return []
        if state.get(name) == 'open':
            return path[path.index(name):] + [name]
        state[name] = 'open'
        path.append(name)
        for include in headers[name].includes:
            if ring := visit(include[1:-1]):
                return ring
        path.pop()
        state[name] = 'done'
        return []

    for name in headers:
        if ring := visit(name):
            return ring
    return []
