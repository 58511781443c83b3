#!/usr/bin/env python3
"""Reads a slipring topic with nothing but Python's ctypes, by docs/segment-layout.md.

    read-topic.py [USER/]BUS TOPIC [COUNT]

Prints COUNT samples (without it, all to come), one a line: number, publish time, and each field with
its unit. It is here to show what a reader in any language has to do; it attaches read-only, so
the worst that its own mistakes can do is print nonsense. 64-bit Linux.
"""
import ctypes
import os
import platform
import pwd
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.shmat.restype = ctypes.c_void_p
LIBC.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
SHM_RDONLY, IPC_STAT, SHM_DEST = 0o10000, 2, 0o1000
MAGIC = int.from_bytes(b'slipring', 'little')
DATA, DIRECTORY, SERVING, ENTRY_TOPIC, ENTRY_SERVING = 1, 2, 1, 1, 2

# enum slipring_kind: format of the struct module, or None for a struct, a list and a sequence.
KINDS = {1: '?', 2: 'b', 3: 'B', 4: 'h', 5: 'H', 6: 'i', 7: 'I', 8: 'q', 9: 'Q', 10: 'f', 11: 'd',
         12: 'iI', 13: 'iI', 14: None, 16: 's', 17: None, 18: 's', 19: None}
LENGTH, TEXT, GAP = 15, 18, 20


class Status(ctypes.Structure):
    """struct shmid_ds, as far as it is looked at."""
    _fields_ = [('key', ctypes.c_int), ('uid', ctypes.c_uint), ('gid', ctypes.c_uint),
                ('cuid', ctypes.c_uint), ('cgid', ctypes.c_uint), ('mode', ctypes.c_ushort),
                ('pad', ctypes.c_ushort * 3), ('reserved', ctypes.c_ulong * 2),
                ('bytes', ctypes.c_size_t), ('rest', ctypes.c_ulong * 16)]


if platform.machine() == 'x86_64':
    def fence():
        """Acquire: this processor reads in order, and an interpreter does not reorder."""
else:
    def fence():
        ctypes.CDLL('libatomic.so.1').atomic_thread_fence(2)


def key_of(uid, bus):
    """The directory's key."""
    value = 0xcbf29ce484222325
    for byte in f'slipring:{uid}/{bus}'.encode():
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return (value ^ value >> 32) & 0x7fffffff or 1


def trusted():
    """Users whose shared memory to believe."""
    users = {0, os.geteuid()}
    try:
        users.add(pwd.getpwnam('slipring').pw_uid)
    except KeyError:
        pass
    return users


class Segment:
    """One segment, attached read-only after a distrustful look."""

    def __init__(self, key, kind, expect):
        self.id = LIBC.shmget(key, 0, 0)
        if self.id < 0:
            raise OSError(ctypes.get_errno(), f'no segment has key {key:#010x}')
        self.check(expect)
        self.address = LIBC.shmat(self.id, None, SHM_RDONLY)
        if self.address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), f'cannot attach segment {self.id}')
        size = self.check(expect)
        # The magic before everything else, then one copy of the rest.
        if self.word(0, 8) != MAGIC:
            raise ValueError('not finished, or no segment of slipring')
        fence()
        self.header = self.copy(0, 256)
        (version, self.kind) = struct.unpack_from('<II', self.header, 8)
        (segment_bytes, self.header_bytes, self.words, self.slots, self.stride, self.depth,
         self.payload_bytes) = struct.unpack_from('<QIIQQII', self.header, 32)
        (self.field_count, self.root_count, self.fields, self.strings, self.strings_bytes,
         _, self.type_name, _) = struct.unpack_from('<8I', self.header, 76)

        def align(value, to):
            return (value + to - 1) // to * to

        if (version != 1 or self.kind != kind or segment_bytes != size or
                self.fields != 256 or self.strings != 256 + 32 * self.field_count or
                self.header_bytes != self.strings + self.strings_bytes or
                self.words != align(self.header_bytes, 4096) or self.slots != self.words + 256 or
                self.stride != 64 + align(self.payload_bytes, 64) or
                size != align(self.slots + self.depth * self.stride, 4096) or
                not 2 <= self.depth <= 65536):
            raise ValueError('another layout, or a corrupt header')

    def check(self, expect):
        """What the kernel says of the segment; returns its size."""
        status = Status()
        if LIBC.shmctl(self.id, IPC_STAT, ctypes.byref(status)) < 0:
            raise OSError(ctypes.get_errno(), f'cannot look at segment {self.id}')
        if status.cuid not in trusted() or status.mode & SHM_DEST:
            raise ValueError(f'segment {self.id} was made by user {status.cuid}, or is being removed')
        for name, value in expect.items():
            actual = status.mode & 0o777 if name == 'mode' else getattr(status, name)
            if actual != value:
                raise ValueError(f'segment {self.id}: {name} is {actual}, expected {value}')
        return status.bytes

    def word(self, offset, size):
        """One word with one load."""
        kind = ctypes.c_uint64 if size == 8 else ctypes.c_uint32
        return kind.from_address(self.address + offset).value

    def copy(self, offset, size):
        return ctypes.string_at(self.address + offset, size)

    def head(self):
        head = self.word(self.words, 8)
        fence()
        return head

    def message(self, number):
        """(slot header, payload) of a message that head has announced; None if overtaken."""
        slot = self.slots + number % self.depth * self.stride
        stamp = self.word(slot, 8)
        fence()
        if stamp < 2 * number:
            raise ValueError('corrupt: head is ahead of the stamp')
        if stamp > 2 * number:
            return None
        head = self.copy(slot, 64)
        size = struct.unpack_from('<I', head, 28)[0]
        payload = self.copy(slot + 64, min(size, self.payload_bytes))
        fence()
        if self.word(slot, 8) != stamp:
            return None
        return head, payload

    def newest(self):
        for _ in range(3):
            number = self.head()
            message = self.message(number) if number else None
            if message:
                return message
        raise ValueError('nothing there yet, or overtaken three times')


def text(data, offset=0):
    return data[offset:data.index(b'\0', offset)].decode()


def find(directory, bus, topic):
    """A topic's entry in the newest table."""
    table = directory.newest()[1]
    (count, size) = struct.unpack_from('<II', table, 24)
    if text(table, 32) != bus or size != 1024 or len(table) != 128 + 1024 * count:
        raise ValueError('corrupt directory')
    for at in range(128, len(table), 1024):
        entry = table[at:at + 1024]
        if (struct.unpack_from('<II', entry) == (ENTRY_TOPIC, ENTRY_SERVING) and
                text(entry, 256) == topic):
            return entry
    raise KeyError(f'bus {bus} has no topic {topic}')


def leaves(segment):
    """(name, unit, format, offset, count) of each field that is no struct, padding or length."""
    table = segment.copy(0, segment.header_bytes)
    records = [struct.unpack_from('<8I', table, segment.fields + 32 * i)
               for i in range(segment.field_count)]

    def walk(first, count, prefix, base):
        for name, unit, kind, elements, offset, size, child, children in records[first:first + count]:
            if kind in (LENGTH, GAP):
                continue
            label = prefix + text(table, segment.strings + name)
            if kind == TEXT:
                yield (label, '', f'{size}s', base + offset, elements)
                continue
            if KINDS[kind] == 's':
                yield (label, '', f'{elements}s', base + offset, 0)
                continue
            if KINDS[kind]:
                if not label.rsplit('.', 1)[-1].rstrip('0123456789') == 'pad':
                    yield (label, text(table, segment.strings + unit), KINDS[kind], base + offset,
                           elements)
                continue
            for i in range(elements or 1):
                index = f'[{i}]' if elements else ''
                yield from walk(child, children, label + index + '.', base + offset + i * size)

    return list(walk(0, segment.root_count, '', 0))


def show(fields, payload):
    parts = []
    for name, unit, form, offset, count in fields:
        values = struct.unpack_from('<' + form * (count or 1), payload, offset)
        shown = ' '.join(f'{value:g}' if isinstance(value, float) else
                         value.partition(b'\0')[0].decode(errors='replace') if isinstance(value, bytes) else
                         str(int(value)) for value in values)
        parts.append(f'{name}={shown}{unit and " " + unit}')
    return ', '.join(parts)


def main():
    name, topic = sys.argv[1:3]
    left = int(sys.argv[3]) if len(sys.argv) > 3 else -1
    user, _, bus = name.rpartition('/')
    uid = (int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid) if user else os.geteuid()

    directory = Segment(key_of(uid, bus), DIRECTORY,
                        {'cuid': uid, 'uid': uid, 'mode': 0o644, 'bytes': 8396800})
    entry = find(directory, bus, topic)
    (data_key, data_id) = struct.unpack_from('<ii', entry, 16)
    (owner, group, mode) = struct.unpack_from('<III', entry, 44)
    segment = Segment(data_key, DATA, {
        'cuid': uid, 'uid': owner, 'gid': group, 'mode': mode,
        'bytes': struct.unpack_from('<Q', entry, 64)[0]})
    # The directory is the authority: a publisher can write its own segment's header.
    if (segment.id != data_id or segment.header[128:160] != entry[96:128] or
            (segment.depth, segment.payload_bytes) != struct.unpack_from('<II', entry, 56)):
        raise ValueError('the segment is not the one that the directory lists')
    fields = leaves(segment)

    number, missed = max(1, segment.head() - segment.depth + 1), 0
    while left:
        head = segment.head()
        if number > head:
            if segment.word(192, 4) != SERVING:
                raise ValueError('the topic was retired: read the directory again')
            time.sleep(0.01)
            continue
        if head - number >= segment.depth:
            missed += head - segment.depth + 1 - number
            number = head - segment.depth + 1
        message = segment.message(number)
        if message:
            stamp = struct.unpack_from('<QQ', message[0], 8)
            print(f'{number} at {stamp[0]} ns, source {stamp[1]} ns, missed {missed}: '
                  f'{show(fields, message[1])}', flush=True)
            left -= 1
            missed = 0
        else:
            missed += 1
        number += 1


try:
    main()
except (OSError, ValueError, KeyError) as error:
    sys.exit(f'read-topic.py: {error}')
except KeyboardInterrupt:
    pass
