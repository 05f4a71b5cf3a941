#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the configuration of a Xen domain for an image, from the list of devices that the image carries."""

import argparse
import os
import struct
import sys
from xml.sax.saxutils import escape, quoteattr

SECTION = ".mirage.manifest"


class NotAnImage(Exception):
    pass


def section(octets, name):
    """The content of an ELF file's section; None when it has none of this name."""
    if octets[:6] != b"\x7fELF\x02\x01":
        raise NotAnImage("not a 64-bit little-endian ELF file")
    offset, = struct.unpack_from("<Q", octets, 40)
    size, count, names = struct.unpack_from("<HHH", octets, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", octets, offset + i * size) for i in range(count)]
    for header in headers:
        begin = headers[names][4] + header[0]
        if octets[begin:octets.index(b"\0", begin)] == name.encode():
            return octets[header[4]:header[4] + header[5]]
    return None


def devices(path):
    """The application's devices in its order: [("netif", "service"), ("block", "data")]. Vifs and disks are in it, too."""
    with open(path, "rb") as file:
        content = section(file.read(), SECTION)
    if content is None:
        raise NotAnImage(f"no section {SECTION}: is this an image for Xen?")
    lines = content.rstrip(b"\0").decode().splitlines()
    return [tuple(line.split(" ", 1)) for line in lines]


def named(listed, kind):
    return [name for known, name in listed if known == kind]


def disk_name(number):
    return "xvd" + chr(ord("a") + number)


def xl(path, name, memory, listed):
    """The configuration for `xl create`. What only the owner of the host knows stands in comments."""
    lines = [f"# {name}: made from the image's own list of devices.  xl create -c {name}.xl",
             f'name = "{name}"', 'type = "pvh"', f'kernel = "{path}"', f"memory = {memory}", "vcpus = 1"]
    vifs, disks = named(listed, "netif"), named(listed, "block")
    if vifs:
        lines += ["", "# Boot keys; what there is, the image says to --help.",
                  '#cmdline = "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1"',
                  "", "# One network interface for each of: " + ", ".join(vifs) + ". Uncomment, and name your bridges.",
                  "#vif = [ " + ", ".join('"bridge=xenbr0"' for _ in vifs) + " ]"]
    if disks:
        lines += ["", "# One disk for each of: " + ", ".join(disks) + ". Uncomment, and name your volumes.",
                  "#disk = [ " + ", ".join(f'"format=raw,vdev={disk_name(number)},access=rw,target=/dev/vg/{disk}"'
                                           for number, disk in enumerate(disks)) + " ]"]
    lines += ["", "# What becomes of a domain that has failed: with \"preserve\" its last words can be read at leisure.",
              '#on_crash = "preserve"']
    return "\n".join(lines) + "\n"


def libvirt(path, name, memory, listed):
    """A domain for libvirt's xl driver (virsh create). Addresses, bridges and volumes in it are examples: XML allows no
    two hyphens in a comment, so keys could not stand in one."""
    lines = ["<domain type='xen'>", f"  <name>{name}</name>", f"  <memory unit='MiB'>{memory}</memory>",
             "  <vcpu>1</vcpu>", "  <os>", "    <type arch='x86_64' machine='xenpvh'>xenpvh</type>",
             f"    <kernel>{escape(path)}</kernel>"]
    if named(listed, "netif"):
        lines += ["    <cmdline>--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1</cmdline>"]
    lines += ["  </os>", "  <on_poweroff>destroy</on_poweroff>", "  <on_reboot>restart</on_reboot>",
              "  <on_crash>preserve</on_crash>", "  <devices>"]
    for vif in named(listed, "netif"):
        lines += [f"    <!-- {vif} -->", "    <interface type='bridge'>", "      <source bridge='xenbr0'/>",
                  "    </interface>"]
    for number, disk in enumerate(named(listed, "block")):
        lines += [f"    <!-- {disk} -->", "    <disk type='block' device='disk'>", "      <driver name='phy' type='raw'/>",
                  f"      <source dev={quoteattr('/dev/vg/' + disk)}/>",
                  f"      <target dev='{disk_name(number)}' bus='xen'/>", "    </disk>"]
    lines += ["    <console type='pty'>", "      <target type='xen' port='0'/>", "    </console>", "  </devices>",
              "</domain>"]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="xl-config.py", description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--output", metavar="FILE", help="where it goes (default: standard output)")
    parser.add_argument("--libvirt", action="store_true", help="XML for libvirt instead of xl's own form")
    parser.add_argument("--name", help="the domain's name (default: the image's)")
    parser.add_argument("--memory", type=int, default=32, metavar="MIB")
    parser.add_argument("--devices", action="store_true", help="only list the devices, one a line")
    options = parser.parse_args()
    path = os.path.abspath(options.image)
    name = options.name or os.path.splitext(os.path.basename(path))[0]
    try:
        listed = devices(path)
    except (OSError, NotAnImage) as error:
        sys.exit(f"xl-config.py: {options.image}: {error}")
    if options.devices:
        text = "".join(f"{kind} {device}\n" for kind, device in listed)
    else:
        text = (libvirt if options.libvirt else xl)(path, name, options.memory, listed)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
