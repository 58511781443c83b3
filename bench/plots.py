"""Which plots there are, and which rows of a run each of them shows."""
import math
import re

from drawing import Panel, Series, draw

# file, row, title
CURVES = [
    ('latency-polled', 'polled-1kHz-delivery',
     '64 bytes each millisecond, to a subscriber that polls'),
    ('latency-blocking', 'blocking-1kHz-delivery',
     '64 bytes each millisecond, to a subscriber asleep on another core'),
    ('latency-unpinned', 'blocking-1kHz-unpinned-delivery',
     '64 bytes each millisecond, to a sleeper placed by the scheduler'),
    ('latency-1MiB', 'blocking-1MiB-1kHz-delivery',
     '1 MiB each millisecond, written and read in place, to a sleeping subscriber'),
]
UNITS = {'B': 1, 'KiB': 1024, 'MiB': 1024 ** 2}
CHAIN = 'slipring, wake: chain'


def _curve_position(percent):
    """1/(1-p) on a logarithmic axis: each nine takes as much room."""
    return -math.log10(1 - percent / 100)


def _curve(results, row, title):
    """How long delivery takes, by percentile."""
    series, percents = [], set()
    for who, (_, curve) in results.series(row).items():
        if curve:
            series.append(Series(who, curve))
            percents.update(percent for percent, _ in curve)
    if not series:
        return None
    last = max((_curve_position(percent) for percent in percents if percent < 100), default=0)

    def position(percent):
        # The maximum stands at no percentile: behind the others.
        return last + 0.35 if percent == 100 else _curve_position(percent)

    ticks = [(percent, f'{percent:g}') for percent in (0, 50, 90, 99, 99.9, 99.99)
             if percent in percents] + [(100, 'max')]
    return draw(title, f'from before the call until the subscriber has the message: row {row}',
                [Panel('Delivery', 'percentile of the messages of a round (%)', series, ticks, position)],
                results.machine, height=420)


def _sweep(results, shape, parts, label):
    """[Series] of the p50 of rows called shape.format(number): {who: [(number, value)]}.

    parts: how the row's last word is called, the first that is there of each number
    """
    found = {}
    names = [*results.contests, *(name for name in results.measurements
                                  if name not in results.contests)]
    numbers = sorted({number for name in names for number in [label(name)] if number})
    for number, text in numbers:
        for part in parts:
            rows = results.series(shape.format(text) + part)
            for who, (figures, _) in rows.items():
                found.setdefault(who, []).append((number, figures['p50']))
            if rows:
                break
    return found


def _series(found):
    return [Series(who, points) for who, points in found.items()]


def _fanout_number(name):
    match = re.fullmatch(r'fanout-(\d+)(?:-chain)?-\w+', name)
    return (int(match[1]), match[1]) if match else None


def _fanout(results):
    """What many subscribers cost: publisher's call and last delivery."""
    panels = []
    for title, parts in (("The publisher's call, p50", ['-call']),
                         # One subscriber is the last one.
                         ('Until the last subscriber has the message, p50', ['-last', '-delivery'])):
        series = _series(_sweep(results, 'fanout-{}', parts, _fanout_number))
        chain = _sweep(results, 'fanout-{}-chain', parts, _fanout_number).get('slipring')
        if chain:
            series.append(Series('slipring', chain, CHAIN, dashed=True))
        if series:
            ticks = sorted({x for one in series for x, _ in one.points})
            panels.append(Panel(title, 'number of sleeping subscribers (log scale)', series,
                                [(x, str(x)) for x in ticks], math.log2))
    return draw('64 bytes to many sleeping subscribers',
                'all sleep before each message: rows fanout-N', panels,
                results.machine) if panels else None


def _size(name):
    match = re.fullmatch(r'size-(\d+)(B|KiB|MiB)-\w+', name)
    return (int(match[1]) * UNITS[match[2]], match[1] + match[2]) if match else None


def _sizes(results):
    """What large messages cost: publisher's call and delivery."""
    panels = []
    for title, part in (("The publisher's call, p50", '-call'),
                        ('Until the subscriber has its copy, p50', '-delivery')):
        series = _series(_sweep(results, 'size-{}', [part], _size))
        if series:
            ticks = {_size(name) for name in results.contests if _size(name)}
            panels.append(Panel(title, 'size of a message in bytes (log scale)', series, [
                (x, re.sub(r'(\d)(\D)', r'\1 \2', text)) for x, text in sorted(ticks)], math.log2))
    return draw('Messages of 64 bytes to 1 MiB, copied in and out',
                'one each millisecond, to one subscriber that polls: rows size-N', panels,
                results.machine) if panels else None


def all_plots(results):
    """{name of a file: its text}, of the plots that have a row in this run; the others' names."""
    drawn = {file + '.svg': _curve(results, row, title) for file, row, title in CURVES}
    drawn['fanout.svg'] = _fanout(results)
    drawn['payload.svg'] = _sizes(results)
    return ({name: text for name, text in drawn.items() if text},
            [name for name, text in drawn.items() if not text])
