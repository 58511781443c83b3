"""The JSON lines of bench/run --json: read as a whole, or refused with the place that is wrong."""
import fnmatch
import json
import math

FIGURES = ('p50', 'p99', 'p99.9', 'max')
REMEDY = 'bench/run --json makes such a file'


class Wrong(Exception):
    """What is wrong with a file, for people."""


# --- what each key of each kind of line has to be ---

def _text(value):
    return isinstance(value, str) and value != ''


def _flag(value):
    return isinstance(value, bool)


def _number(value):
    return (isinstance(value, (int, float)) and not isinstance(value, bool) and
            math.isfinite(value) and value >= 0)


def _figures(value):
    return isinstance(value, dict) and all(_number(value.get(key)) for key in FIGURES)


def _curve(value):
    """[[percentile, value], ...] from 0 to 100, neither ever less than before; or none."""
    if not isinstance(value, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(map(_number, pair)) for pair in value):
        return False
    percents, values = [pair[0] for pair in value], [pair[1] for pair in value]
    return not value or (percents[0] == 0 and percents[-1] == 100 and values == sorted(values) and
                         percents == sorted(set(percents)))


def _values(value):
    """[[what, how much, unit], ...]; counts have no unit."""
    return isinstance(value, list) and value != [] and all(
        isinstance(one, list) and len(one) == 3 and _text(one[0]) and _number(one[1]) and
        isinstance(one[2], str) for one in value)


KINDS = {
    'machine': {'cpu': _text, 'system': _text, 'kernel': _text, 'architecture': _text,
                'clock': _text, 'governor': _text, 'compiler': _text, 'slipring': _text,
                'command': _text, 'date': _text, 'optimised': _flag, 'cpus': _number,
                'pinned': _flag, 'rounds': _number, 'load': _number},
    'peer': {'contender': _text, 'version': _text, 'note': _text},
    'measurement': {'name': _text, 'unit': _text, 'floor_is': _text, 'rounds': _number,
                    'samples': _number, 'load': _number, 'ours': _figures, 'floor': _figures,
                    'ratio': _figures, 'ours_curve': _curve, 'floor_curve': _curve},
    'contender': {'name': _text, 'contender': _text, 'unit': _text, 'rounds': _number,
                  'samples': _number, 'load': _number, 'figures': _figures, 'to_ours': _figures,
                  'to_floor': _figures, 'curve': _curve},
    'command': {'name': _text, 'command': _text, 'rounds': _number, 'load': _number,
                'values': _values},
    'left-out': {'name': _text, 'contender': _text, 'wrong': _number, 'lost': _number},
}


# --- a run ---

# What two runs have to agree in, to stand in one file.
SAME = ('cpu', 'cpus', 'architecture', 'system', 'kernel', 'clock', 'governor', 'compiler',
        'optimised', 'pinned')


class Results:
    """One run: its machine, its peers by name, and its rows; and runs of other rows behind it.

    later:        the machines' lines of those, in which what is in SAME is the same
    commands:     {name of the row: the row}, each a way of a whole command
    measurements: {name of the row: the row}, ours and the floor in one process
    contests:     {name of the row: {contender: the row}}, each in processes of its own
    left_out:     {(name of the measurement, contender): the row}, for want of its messages
    """

    def __init__(self):
        self.machine = None
        self.later, self.commands = [], {}
        self.peers, self.measurements, self.contests, self.left_out = {}, {}, {}, {}

    def add(self, row):
        """One line that is as KINDS wants it."""
        kind = row['kind']
        if kind == 'machine':
            other = [key for key in SAME if self.machine and self.machine[key] != row[key]]
            if other:
                raise Wrong(f"a second machine: its {', '.join(other)} is another than the first "
                            "one's; rows of two machines cannot stand side by side")
            if self.machine:
                self.later.append(row)
            else:
                self.machine = row
            return
        if not self.machine:
            raise Wrong(f'the first line is to tell the machine; {REMEDY}')
        if kind in ('contender', 'left-out') and row['contender'] not in self.peers:
            raise Wrong(f"contender '{row['contender']}' is not among the peers above")
        if kind == 'contender':
            place, key = self.contests.setdefault(row['name'], {}), row['contender']
        elif kind == 'left-out':
            place, key = self.left_out, (row['name'], row['contender'])
        elif kind == 'command':
            place, key = self.commands, row['name']
        elif kind == 'peer':
            place, key = self.peers, row['contender']
            # A later run names them again.
            if place.get(key) == row and self.later:
                return
        else:
            place, key = self.measurements, row['name']
        if key in place:
            raise Wrong(f"'{row.get('name', key)}' of {row.get('contender', 'slipring')} stands "
                        'there twice')
        place[key] = row

    def find(self, pattern):
        """The first measurement whose name is like this, or None."""
        return next((row for name, row in self.measurements.items()
                     if fnmatch.fnmatchcase(name, pattern)), None)

    def find_contest(self, pattern):
        """The first contest whose name is like this, or {}."""
        return next((rows for name, rows in self.contests.items()
                     if fnmatch.fnmatchcase(name, pattern)), {})

    def series(self, name):
        """{who: (figures, curve)} of one row: all contenders, else ours and the floor."""
        if name in self.contests:
            return {who: (row['figures'], row['curve']) for who, row in self.contests[name].items()}
        row = self.measurements.get(name)
        return {'slipring': (row['ours'], row['ours_curve']),
                'floor': (row['floor'], row['floor_curve'])} if row else {}


def _refuse(word):
    raise ValueError(f'{word} is no number')


def _parse(line):
    """The row of one line."""
    try:
        row = json.loads(line, parse_constant=_refuse)
    except ValueError as error:
        what = 'not JSON' if line.endswith('\n') else 'cut off: the run did not end'
        raise Wrong(f'{what} ({error})') from None
    if not isinstance(row, dict):
        raise Wrong(f'no object; {REMEDY}')
    kind = row.get('kind')
    if not isinstance(kind, str) or kind not in KINDS:
        raise Wrong(f"unknown kind {json.dumps(kind)}; there are {', '.join(KINDS)}")
    for key, good in KINDS[kind].items():
        if key not in row:
            raise Wrong(f"a {kind} without '{key}'; was it made by another version of bench/run?")
        if not good(row[key]):
            raise Wrong(f"'{key}' of a {kind} cannot be {json.dumps(row[key])[:60]}")
    return row


def read(lines, name):
    """The Results in the lines of a file that is called so. Raises Wrong."""
    results = Results()
    for number, line in enumerate(lines, 1):
        try:
            results.add(_parse(line))
        except Wrong as wrong:
            raise Wrong(f'{name}:{number}: {wrong}') from None
    if not results.machine:
        raise Wrong(f'{name}: there is nothing in it; {REMEDY}')
    if not (results.measurements or results.contests or results.commands):
        raise Wrong(f'{name}: no row of a measurement in it; {REMEDY}')
    return results


# --- for people ---

def _scaled(value, steps):
    for factor, unit in steps:
        if value < factor * 999.5 or unit == steps[-1][1]:
            value /= factor
            return f"{value:.{0 if value >= 99.5 or value == 0 else 1}f} {unit}"
    raise AssertionError


_TIMES = ((1, 'ns'), (1e3, 'us'), (1e6, 'ms'), (1e9, 's'))
_BYTES = ((1, 'B'), (1024, 'KiB'), (1024 ** 2, 'MiB'), (1024 ** 3, 'GiB'))
BYTES_OF = {'B': 1, 'bytes': 1, 'KiB': 1024, 'MiB': 1024 ** 2}


def quantity(value, unit='ns'):
    """31.0 ns, 2.5 us, 147 us, 1.2 MiB; 12 of what has no unit."""
    if unit == 'ns':
        return _scaled(value, _TIMES)
    if unit in BYTES_OF:
        return _scaled(value * BYTES_OF[unit], _BYTES)
    if unit == '':
        # A count, or a ratio.
        return str(value) if isinstance(value, int) else ratio(value)
    return f'{value:.4g} {unit}'


def ratio(value):
    """0.98, 12.3, 147."""
    return f'{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}'


def machine_line(machine):
    """All of the machine in one line."""
    return (f"{machine['cpu']}, {machine['cpus']} processors, {machine['system']}, "
            f"Linux {machine['kernel']}, {machine['compiler']}"
            f"{'' if machine['optimised'] else ', NOT OPTIMISED'}, {machine['date']}")
