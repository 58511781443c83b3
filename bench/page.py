"""docs/performance.md, and the table of README.md, from the results of a run."""
import fnmatch
import re

from results import BYTES_OF, FIGURES, Wrong, machine_line, quantity, ratio

COMMANDS = ('bench/run --json > docs/performance/results.jsonl', 'bench/plot --page')

BEGIN = '<!-- from here on written by bench/plot --page -->'
END = '<!-- up to here written by bench/plot --page -->'


# --- what is expected ---

class Check:
    """One number that a row gives, and the bound that it is to keep.

    value: of the Results, or None where the row was not measured
    least: whether it is to be at least the bound, not at most
    """

    def __init__(self, text, value, bound, least=False, form=ratio):
        self.text, self.value, self.bound, self.least, self.form = text, value, bound, least, form

    def verdict(self, results):
        """(met or not or None, what was measured, in words)"""
        value = self.value(results)
        if value is None:
            return None, self.text.partition('{}')[0] + 'not measured'
        met = value >= self.bound if self.least else value <= self.bound
        return met, self.text.format(self.form(value))


def to_floor(pattern, bound, figure='p50', text='{} of the floor'):
    """Ours to the floor's: in one process where that is measured, else in the contest."""
    def value(results):
        row = results.find(pattern)
        ours = results.find_contest(pattern).get('slipring')
        return row['ratio'][figure] if row else ours['to_floor'][figure] if ours else None
    return Check(text, value, bound)


def peer_to_ours(pattern, peer, bound, text):
    """A peer's p50 to ours: the larger the better."""
    def value(results):
        row = results.find_contest(pattern).get(peer)
        return row['to_ours']['p50'] if row else None
    return Check(text, value, bound, least=True)


def ours_to_peer(pattern, peer, bound, text):
    """Our p50 to a peer's."""
    def value(results):
        row = results.find_contest(pattern).get(peer)
        return 1 / row['to_ours']['p50'] if row and row['to_ours']['p50'] else None
    return Check(text, value, bound)


def fastest_peer(pattern, bound, text):
    """The p50 of the best of all peers to ours."""
    def value(results):
        rows = results.find_contest(pattern)
        return min((row['to_ours']['p50'] for who, row in rows.items()
                    if who not in ('slipring', 'floor')), default=None)
    return Check(text, value, bound, least=True)


def rate(pattern, bound):
    """How many times the floor's messages in the same time."""
    def value(results):
        row = results.find_contest(pattern).get('slipring')
        return 1 / row['to_floor']['p50'] if row and row['to_floor']['p50'] else None
    return Check('{} times the bare ring', value, bound, least=True)


def two_rows(pattern, other, bound, text):
    """Our p50 of one row to that of another one."""
    def value(results):
        first, second = results.find(pattern), results.find(other)
        return first['ours']['p50'] / second['ours']['p50'] if first and second else None
    return Check(text, value, bound)


def at_most(pattern, bound, unit='ns'):
    """Our p50 itself, in nanoseconds or bytes."""
    def value(results):
        row, ours = results.find(pattern), results.find_contest(pattern).get('slipring')
        p50 = row['ours']['p50'] if row else ours['figures']['p50'] if ours else None
        return None if p50 is None else p50 * BYTES_OF.get((row or ours)['unit'], 1)
    return Check('{}', value, bound, form=lambda value: quantity(value, unit))


def most(pattern, what, bound, text, form='{:.0f}'.format):
    """The most that any way of a command has of something."""
    def value(results):
        return max((how_much for name, row in results.commands.items()
                    if fnmatch.fnmatchcase(name, pattern)
                    for one, how_much, _ in row['values'] if one == what), default=None)
    return Check(text, value, bound, form=form)


# Measure, what is expected, what shows it. A row's name may be a pattern.
EXPECTED = [
    ('publish 64 B, nobody attached', 'at most 1.1 of the floor, 10 times cheaper than iceoryx',
     [to_floor('publish-64B-copied', 1.1),
      peer_to_ours('publish-64B-copied', 'iceoryx', 10, 'iceoryx {} times ours')]),
    ('publish 64 B, tight loop, one blocking subscriber',
     'at most 1.1 of the floor, 8 times cheaper than iceoryx',
     [to_floor('publish-64B-copied-blocking', 1.1),
      peer_to_ours('publish-64B-copied-blocking', 'iceoryx', 8, 'iceoryx {} times ours')]),
    ('the same, one polling subscriber', 'at most 1.1 of the floor',
     [to_floor('publish-64B-copied-polled', 1.1)]),
    ('loaned publish of 1 MiB', 'as one of 64 B: at most 1.1 of it',
     [two_rows('publish-1MiB-loaned', 'publish-64B-loaned', 1.1, '{} of it')]),
    ('publish 1 MiB copied', "at most iceoryx's",
     [ours_to_peer('publish-1MiB-copied-kept-7', 'iceoryx', 1, "keeping 7 for late joiners {}"),
      ours_to_peer('publish-1MiB-copied-kept-1', 'iceoryx', 1, 'keeping 1 {}'),
      ours_to_peer('publish-1MiB-copied', 'iceoryx', 1, 'it keeps none, ours 7: {}')]),
    ('polled one-way at 1 kHz, p50', 'at most 1.2 of the floor, 20 times better than iceoryx',
     [to_floor('polled-1kHz-delivery', 1.2),
      peer_to_ours('polled-1kHz-delivery', 'iceoryx', 20, 'iceoryx {} times ours')]),
    ('polled ping-pong, p50', 'at most 1.1 of the bare ring',
     [to_floor('pingpong-ring', 1.1, text='{} of the bare ring')]),
    ('blocking at 1 kHz on the other core, p50 and p99', 'at most 1.1 of a bare futex',
     [to_floor('blocking-1kHz-delivery', 1.1, text='p50 {}'),
      to_floor('blocking-1kHz-delivery', 1.1, 'p99', 'p99 {} of the floor')]),
    ('the same, not pinned, p50', 'at most 1.1 of the floor, at most 0.6 of iceoryx',
     [to_floor('blocking-1kHz-unpinned-delivery', 1.1),
      ours_to_peer('blocking-1kHz-unpinned-delivery', 'iceoryx', 0.6, "{} of iceoryx's")]),
    ('1 MiB at 1 kHz, blocking, read in place', 'at most 1.05 of the floor, ahead of every peer',
     [to_floor('blocking-1MiB-1kHz-delivery', 1.05),
      fastest_peer('blocking-1MiB-1kHz-delivery', 1, 'the fastest peer {} times ours')]),
    ("64 blocked subscribers, `wake: chain`: publisher's call", 'at most 30 us',
     [at_most('fanout-64-chain-call', 30e3)]),
    ('the same: last delivery', 'at most 1.3 of the bare futex; none lost',
     # A message that is lost ends the measurement: then there is no row.
     [to_floor('fanout-64-chain-last', 1.3)]),
    ('the same: processor time of all', 'at most 1.1 of the bare futex',
     [to_floor('fanout-64-chain-cpu', 1.1)]),
    ('throughput 64 B, polled, lossless, batch take', 'at least 1.5 times the bare one-at-a-time ring',
     [rate('throughput-64B', 1.5)]),
    ('throughput 4 KiB, the same', 'at least 1 times the bare ring', [rate('throughput-4KiB', 1)]),
    ('memory of manager, publisher and subscriber', 'under 1.5 MiB PSS',
     [at_most('cold-memory', 1.5 * 1024 ** 2, 'B')]),
    ('first sample from a cold start, manager included', 'under 5 ms',
     [at_most('cold-start', 5e6)]),
    ('wait on 64 topics: cost of a wake-up', 'at most 1.5 of one topic',
     [to_floor('topics-64-any-delivery', 1.5, text='delivery {}'),
      to_floor('topics-64-any-cpu', 1.5, text='processor time {} of one topic')]),
    ('64 topics in one epoll loop: cost of a wake-up', 'at most 1.5 of one topic',
     [to_floor('topics-64-epoll-delivery', 1.5, text='delivery {}'),
      to_floor('topics-64-epoll-cpu', 1.5, text='processor time {} of one topic')]),
    ('1,000 polling observers on one topic', 'the publisher pays what none costs: at most 1.1 of it',
     [to_floor('publish-64B-1000-observers', 1.1, text='{} of it')]),
    ('recording 50 topics of 1 kHz and a camera on one processor', 'none missed, however compressed',
     [most('record-*', 'missed', 0, '{} missed')]),
    ('publish 128 B with a recorder attached', 'at most 1.1 of what it costs without',
     [to_floor('publish-128B-recorded', 1.1, text='in a tight loop {}'),
      to_floor('publish-128B-recorded-1kHz', 1.1, text='at 1 kHz {} of it')]),
    ('5,000 samples a second to a viewer, `slipring view --every`', 'none missed',
     [most('view-every', 'missed', 0, '{} missed')]),
]


def verdict(results, checks):
    """What was measured, and whether that is what was expected."""
    found = [check.verdict(results) for check in checks]
    met = [one for one, _ in found]
    words = ('not met' if False in met else 'not measured' if met == [None] * len(met)
             else 'met, as far as measured' if None in met else 'met')
    return '; '.join(text for _, text in found), words


# --- tables ---

def table(head, rows):
    """A table of Markdown; a bar in a cell would end it."""
    def line(cells):
        return '| ' + ' | '.join(str(cell).replace('|', '\\|') for cell in cells) + ' |'
    return [line(head), '|' + '---|' * len(head), *map(line, rows)]


def expectations(results):
    return table(['measure', 'expected', 'measured', ''], [
        (measure, expected, *verdict(results, checks)) for measure, expected, checks in EXPECTED])


def measurements(results):
    """All rows of ours and the floor in one process."""
    def cells(row):
        figures = [quantity(row[side][key], row['unit']) for side in ('ours', 'floor')
                   for key in FIGURES]
        return [f"`{row['name']}`", *figures,
                *(ratio(row['ratio'][key]) for key in FIGURES[:3])]
    return table(['row', *FIGURES, *('floor ' + key for key in FIGURES),
                  *(f'{key} ratio' for key in FIGURES[:3])],
                 map(cells, results.measurements.values()))


SWEPT = re.compile(r'size-|fanout-(?!64-)\d+-')


def contest(rows):
    """All contenders of one row."""
    return table(['contender', *FIGURES, "p50 / slipring's", "p99 / slipring's", "p50 / floor's"], [
        [f'**{who}**' if who == 'slipring' else who,
         *(quantity(row['figures'][key], row['unit']) for key in FIGURES),
         ratio(row['to_ours']['p50']), ratio(row['to_ours']['p99']), ratio(row['to_floor']['p50'])]
        for who, row in rows.items()])


def _sweep_key(name):
    """fanout-8-last -> ('fanout', 'last'), 'fanout-8'"""
    base, part = name.rsplit('-', 1)
    return (base.partition('-')[0], part), base


def sweeps(results):
    """p50 of the many rows of a sweep, a column each."""
    tables, out = {}, []
    for name, rows in results.contests.items():
        if re.match(r'(size|fanout)-\d', name):
            key, base = _sweep_key(name)
            tables.setdefault(key, {})[base] = rows
    titles = {('size', 'call'): "The publisher's call, p50, of one message each millisecond",
              ('size', 'delivery'): 'Its delivery to a subscriber that polls, p50',
              ('fanout', 'call'): "The publisher's call, p50, by the number of sleeping subscribers",
              ('fanout', 'delivery'): 'Delivery over all of them, p50',
              ('fanout', 'last'): 'Delivery to the last of them, p50'}
    for key, columns in tables.items():
        who = dict.fromkeys(name for rows in columns.values() for name in rows)
        out += ['', titles.get(key, '-'.join(key)) + ':', '']
        out += table(['contender', *(base.partition('-')[2] for base in columns)], [
            [f'**{name}**' if name == 'slipring' else name,
             *(quantity(rows[name]['figures']['p50'], rows[name]['unit']) if name in rows else ''
               for rows in columns.values())] for name in who])
    return out


def contests(results):
    out = []
    for name, rows in results.contests.items():
        if not SWEPT.match(name):
            out += ['', f'`{name}`:', '', *contest(rows)]
    return out


def commands(results):
    """A table for each command, of its ways beside each other."""
    tables, out = {}, []
    for name, row in results.commands.items():
        tables.setdefault(name.partition('-')[0], []).append(row)
    for rows in tables.values():
        # One way may tell what another has not.
        whats = dict.fromkeys(what for row in rows for what, _, _ in row['values'])
        out += ['', *table(['row', 'command', *whats], [
            [f"`{row['name']}`", f"`{row['command']}`",
             *(next((quantity(value, unit) for one, value, unit in row['values'] if one == what), '')
               for what in whats)] for row in rows])]
    return out


def left_out(results):
    return [f"`{name}`: {who} is left out, for {row['lost']} messages lost and {row['wrong']} wrong."
            for (name, who), row in results.left_out.items()]


def images(drawn):
    """All plots, each with words for who cannot see it."""
    out = []
    for name, text in drawn.items():
        out += ['', f"![{re.search('<title>(.*)</title>', text)[1]}](performance/{name})"]
    return out


def run_conditions(machine, later):
    return table(['what', ''], [
        ('processor', f"{machine['cpu']}, {machine['cpus']} of them, {machine['architecture']}"),
        ('system', f"{machine['system']}, Linux {machine['kernel']}"),
        ('clock, governor', f"{machine['clock']}, {machine['governor']}"),
        ('compiler', machine['compiler'] + ('' if machine['optimised'] else ', NOT OPTIMISED')),
        ('slipring', machine['slipring']),
        ('command', f"`{machine['command']}`"),
        ('when', machine['date']),
        ('rounds', f"{machine['rounds']} of each, "
                   f"{'pinned' if machine['pinned'] else 'not pinned'}"),
        ('load when it began', f"{machine['load']:.2f}"),
        *((f'{number}. run of further rows', f"`{run['command']}`, slipring {run['slipring']}, "
           f"{run['date']}, load {run['load']:.2f}") for number, run in enumerate(later, 2)),
    ])


PAGE = """# Performance

What slipring costs, beside the least code that does the same work (the *bare floor*) and beside other ways between
processes, all on one machine. `bench/README.md` tells what each row is and how it is timed.

This page, its plots and the table of the README are written by `bench/plot --page` from
[performance/results.jsonl](performance/results.jsonl), the output of one run, and of later ones of other rows on the same
machine. To make them anew:

    {commands}

## The machine

{conditions}

Nanoseconds tell about this machine and who else was on it; ratios tell about the software. They are medians over
rounds of neighbouring rounds, so they are not exactly one column divided by the other. Below 1.3 a single run is noise.

## What was expected

{expectations}

A ratio is of the p50 where nothing else is said. "Of the floor" is ours divided by the floor's.

## Plots
{images}

The curves' horizontal axis is that of HdrHistogram: each further nine of the percentile takes as much room. Each point is
the median over rounds of that percentile, also `max`, which the tables below give as the largest of all rounds.
`wake: chain` is of the rows beside the bare floor, the others have no such thing.

## Beside the bare floor

Rounds of ours and of the floor alternate in the same processes. `call` is what the publisher pays, `delivery` is
from before the call until a subscriber has the message, `last` until the last one has.

{measurements}

## Beside other ways

Each in processes of its own, their rounds in turns; slipring and the floor among them, under the same conditions. Ratios
are a contender's time divided by slipring's, or by the floor's: above 1 the contender takes longer.
{contests}
{left_out}

### More subscribers, larger messages
{sweeps}

An empty cell: it does not take messages of that size.

## Recording, replaying, watching

Whole commands as somebody runs them, on a bus of a real manager: the command on one processor, what publishes and what
looks on the other. `bench/README.md` tells what each row is. Beside the floor above: `publish-128B-recorded`, a publisher
with a recorder on its topic and without, in turns; `play-*`, how far the times between two messages are from those that
were recorded, and how far those of a process are that only sleeps to the same times.
{commands_rows}

## Fairness

| contender | version | how it works |
|---|---|---|
{notes}

- All do the same work: the content of every message is checked by every subscriber, and one that is wrong or lost ends
  that contender's part without figures.
- All come as the system packages them, with their own defaults but for what the work asks for (`bench/README.md`).
- Who can write in place and read in place does, where a row says so, and so does slipring; others take no part there.
- Every subscriber that sleeps does so for at most 100 ms at a time, so all pay for a timer, the floor too. In the
  comparison in one process the floor does not.
- All threads of a process share its processor where processes are pinned: who has helper threads pays for that,
  most where a publisher spins until there is room (`throughput-*`). `blocking-1kHz-unpinned` leaves it to the scheduler.
- In `throughput-*` slipring's subscriber takes several at once, and takes a breath of about a microsecond when there
  are few; the others take one at a time, as their interfaces have it.
- A contender that a row lacks cannot do that work; one that this machine lacks is named on standard error by `bench/run`.
"""


def page(results, drawn):
    """The text of docs/performance.md."""
    return PAGE.format(
        commands=' &&\n        '.join(COMMANDS),
        conditions='\n'.join(run_conditions(results.machine, results.later)),
        expectations='\n'.join(expectations(results)),
        images='\n'.join(images(drawn)) or '\nNone: no row of a plot was measured.',
        measurements='\n'.join(measurements(results)) if results.measurements else 'Not measured.',
        contests='\n'.join(contests(results)) or '\nNot measured.',
        left_out=''.join('\n' + line + '\n' for line in left_out(results)),
        commands_rows='\n'.join(commands(results)) or '\nNot measured.',
        sweeps='\n'.join(sweeps(results)) or '\nNot measured.',
        notes='\n'.join(table([], [(who, peer['version'], peer['note'])
                                   for who, peer in results.peers.items()])[2:]),
    )


# --- README.md ---

README_ROWS = [
    ('publish-64B-copied', 'publish 64 bytes, copied in'),
    ('publish-64B-loaned', 'publish 64 bytes, written in place'),
    ('publish-1MiB-copied', 'publish 1 MiB, copied in'),
    ('publish-1MiB-loaned', 'publish 1 MiB, 64 bytes of it written, in place'),
    ('pingpong-ring', 'there and back between two polling processes'),
    ('polled-1kHz-delivery', 'to a polling subscriber at 1 kHz'),
    ('blocking-1kHz-delivery', 'to a sleeping subscriber at 1 kHz'),
    ('fanout-8-last', 'to the last of 8 sleeping subscribers'),
    ('fanout-64-last', 'to the last of 64 sleeping subscribers'),
    ('fanout-64-chain-call', 'publish to 64 sleeping subscribers, `wake: chain`'),
]


def _beside_iceoryx(results, name):
    row = results.contests.get(name, {}).get('iceoryx')
    return ratio(row['to_ours']['p50']) if row else ''


def _readme_block(results):
    rows = [(text, *(quantity(row['ours'][key], row['unit']) for key in FIGURES),
             *(ratio(row['ratio'][key]) for key in FIGURES[:3]), _beside_iceoryx(results, name))
            for name, text in README_ROWS for row in [results.measurements.get(name)] if row]
    met = [verdict(results, checks)[1] for _, _, checks in EXPECTED]
    out = [f'{machine_line(results.machine)}:', '']
    out += table(['', *FIGURES, 'p50 / floor', 'p99 / floor', 'p99.9 / floor',
                  'iceoryx p50 / ours'], rows) if rows else ['None of its rows was measured.']
    unknown = len(met) - met.count('met') - met.count('not met')
    return out + ['', f'A ratio is the median of {results.machine["rounds"]} rounds. Of '
                  f'{len(met)} expectations {met.count("met")} are met, '
                  f'{met.count("not met")} are not'
                  f'{f", {unknown} are not or not wholly measured" if unknown else ""}; the page '
                  'says which.']


def readme(text, results):
    """README.md with its block written anew. Raises Wrong."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise Wrong(f"README.md: the lines '{BEGIN}' and '{END}' have to stand there once, in "
                    'this order')
    before, rest = text.split(BEGIN)
    return '\n'.join([before + BEGIN, *_readme_block(results), END + rest.split(END)[1]])
