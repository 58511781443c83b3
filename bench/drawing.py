"""Figures as SVG, written by hand: lines over a logarithmic axis, legible on light and dark."""
import math
from xml.sax.saxutils import escape, quoteattr

from results import machine_line, quantity

WIDTH, LEFT, RIGHT = 900, 84, 180
LABEL_GAP = 15

# Who is drawn how: colour on white, on black, and a mark. The colours are Okabe's and Ito's and
# Tol's, which people who see fewer colours tell apart; marks are for those who see none.
STYLES = {
    'slipring': ('#d55e00', '#ff8a3d', 'circle'),
    'floor': ('#777777', '#9a9a9a', None),
    'iceoryx': ('#0072b2', '#4fa8e0', 'square'),
    'cyclone': ('#009e73', '#2ec79b', 'up'),
    'fastdds': ('#882255', '#d9749f', 'down'),
    'zmq': ('#cc79a7', '#e9a6cb', 'diamond'),
    'nng': ('#e69f00', '#f3b93c', 'plus'),
    'lcm': ('#56b4e9', '#8fd0f5', 'cross'),
    'unix': ('#332288', '#a79bf0', 'bar'),
    'mq': ('#8a8a2b', '#c6c65e', 'hexagon'),
}
# Of those that nobody has chosen for.
SPARE = [('#aa4499', '#dd88cc', 'square'), ('#117733', '#55bb77', 'up'),
         ('#661100', '#cc8866', 'diamond'), ('#44aa99', '#77ccbb', 'cross')]

MARKS = {
    'circle': 'M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z',
    'square': 'M-3.2 -3.2H3.2V3.2H-3.2Z',
    'up': 'M0 -4.2L4 3H-4Z',
    'down': 'M0 4.2L4 -3H-4Z',
    'diamond': 'M0 -4.5L4.5 0L0 4.5L-4.5 0Z',
    'plus': 'M-1.2 -4H1.2V-1.2H4V1.2H1.2V4H-1.2V1.2H-4V-1.2H-1.2Z',
    'cross': 'M-4 -2.4L-2.4 -4L0 -1.6L2.4 -4L4 -2.4L1.6 0L4 2.4L2.4 4L0 1.6L-2.4 4L-4 2.4L-1.6 0Z',
    'bar': 'M-1.6 -4.5H1.6V4.5H-1.6Z',
    'hexagon': 'M-4 0L-2 -3.5H2L4 0L2 3.5H-2Z',
}

LIGHT = {'back': '#ffffff', 'ink': '#222222', 'dim': '#5f5f5f', 'grid': '#e4e4e4',
         'axis': '#8a8a8a'}
DARK = {'back': '#14171c', 'ink': '#e6e6e6', 'dim': '#a8a8a8', 'grid': '#30353c',
        'axis': '#7d838c'}


class Series:
    """One line: who (a contender, and so a colour), how it is called, and its points in order of x.

    dashed: a variant of the one that has the same colour
    """

    def __init__(self, who, points, label=None, dashed=False):
        self.who, self.points, self.dashed = who, points, dashed
        self.label = label or who


class Panel:
    """Lines over two axes.

    position: of an x on the axis
    ticks:    [(x, text), ...]
    """

    def __init__(self, title, x_label, series, ticks, position, y_label='time in ns, us, ms (log scale)'):
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.series, self.ticks, self.position = series, ticks, position


# --- the axis of times ---

def _steps(low, high):
    """1, 2, 5, 10, 20 ... from the last at or below to the first at or above."""
    found, exponent = [], math.floor(math.log10(low))
    while not found or found[-1] < high:
        for digit in (1, 2, 5):
            value = digit * 10 ** exponent
            if value > low * (1 + 1e-9):
                found = found or [before]
                found.append(value)
                if value >= high:
                    return found
            before = value
        exponent += 1
    return found


def time_axis(values):
    """Steps of a logarithmic axis that has all values, and those of them that get a text."""
    # Logarithms have no 0, which a clock in steps can read.
    values = [max(value, 1) for value in values]
    steps = _steps(min(values) / 1.05, max(values) * 1.05)
    decades = [value for value in steps if math.log10(value) % 1 < 1e-6]
    return steps, decades if len(decades) > 3 else steps


# --- labels beside the ends of lines ---

def spread(wanted, gap, low, high):
    """Places near those wanted, in the same order, at least a gap apart, within bounds if they fit."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = [0.0] * len(wanted)
    last = low - gap
    for i in order:
        last = places[i] = max(wanted[i], last + gap)
    last = high + gap
    for i in reversed(order):
        last = places[i] = min(places[i], last - gap)
    return places


# --- elements ---

def _text(x, y, text, classes, anchor=None):
    anchor = f' text-anchor="{anchor}"' if anchor else ''
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}"{anchor}>{escape(text)}</text>'


def _mark(x, y, style, who, hollow):
    classes = 'mark hollow' if hollow else 'mark'
    return f'<path class="{classes} {who}" transform="translate({x:.1f} {y:.1f})" d="{MARKS[style[2]]}"/>'


def _styles(panels):
    """{who: style} of all that are drawn, each once."""
    chosen, spare = {}, list(SPARE)
    for panel in panels:
        for series in panel.series:
            if series.who not in chosen:
                chosen[series.who] = STYLES.get(series.who) or spare[0]
                if series.who not in STYLES:
                    spare = spare[1:] + spare[:1]
    return chosen


def _class(who):
    """A name that CSS takes."""
    return 'who-' + ''.join(c if c.isalnum() else '-' for c in who)


def _style_sheet(styles):
    def colours(theme, which):
        rules = [f".back {{ fill: {theme['back']}; }}", f".ink {{ fill: {theme['ink']}; }}",
                 f".dim {{ fill: {theme['dim']}; }}", f".grid {{ stroke: {theme['grid']}; }}",
                 f".axis {{ stroke: {theme['axis']}; }}",
                 f".hollow {{ fill: {theme['back']}; }}"]
        return rules + [f'.{_class(who)} {{ color: {style[which]}; }}'
                        for who, style in styles.items()]

    rules = [
        '.title { font-size: 17px; font-weight: bold; }',
        '.head { font-size: 13px; font-weight: bold; }',
        '.small { font-size: 11px; }',
        '.grid, .axis { fill: none; stroke-width: 1; }',
        '.line { fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; }',
        '.leader { fill: none; stroke: currentColor; stroke-width: 0.8; }',
        '.far { stroke-dasharray: 1 4; }',
        '.mark { fill: currentColor; }',
        '.hollow { stroke: currentColor; stroke-width: 1.6; }',
        '.ours { stroke-width: 3.2; }',
        '.bold { font-weight: bold; }',
        '.floor { stroke-width: 2; stroke-dasharray: 6 4; }',
        '.variant { stroke-dasharray: 9 4; }',
        *colours(LIGHT, 0),
        '@media (prefers-color-scheme: dark) {',
        *('  ' + rule for rule in colours(DARK, 1)),
        '}',
    ]
    return ['<style>', *('  ' + rule for rule in rules), '</style>']


def _draw_axes(panel, x_of, y_of, steps, named, top, height):
    right, bottom = WIDTH - RIGHT, top + height
    out = [_text(LEFT, top - 12, panel.title, 'head ink')]
    for value in steps:
        out.append(f'<path class="grid" d="M{LEFT} {y_of(value):.1f}H{right}"/>')
        if value in named:
            out.append(_text(LEFT - 8, y_of(value) + 4, quantity(value).replace('.0 ', ' '), 'small ink',
                             'end'))
    for x, text in panel.ticks:
        out.append(f'<path class="grid" d="M{x_of(x):.1f} {top}V{bottom}"/>')
        out.append(_text(x_of(x), bottom + 18, text, 'small ink', 'middle'))
    out.append(f'<path class="axis" d="M{LEFT} {top}V{bottom}H{right}"/>')
    out.append(_text((LEFT + right) / 2, bottom + 38, panel.x_label, 'small dim', 'middle'))
    out.append(f'<text transform="translate(20 {top + height / 2:.1f}) rotate(-90)" '
               f'class="small dim" text-anchor="middle">{escape(panel.y_label)}</text>')
    return out


def _draw_panel(panel, styles, top, height):
    right, bottom = WIDTH - RIGHT, top + height
    steps, named = time_axis([y for series in panel.series for _, y in series.points])
    lowest, highest = math.log10(steps[0]), math.log10(steps[-1])
    positions = [panel.position(x) for x, _ in panel.ticks]
    positions += [panel.position(x) for series in panel.series for x, _ in series.points]
    first, span = min(positions), max(positions) - min(positions) or 1

    def x_of(x):
        return LEFT + 10 + (panel.position(x) - first) / span * (right - LEFT - 20)

    def y_of(y):
        return bottom - (math.log10(max(y, 1)) - lowest) / (highest - lowest) * height

    out = _draw_axes(panel, x_of, y_of, steps, named, top, height)
    places = spread([y_of(series.points[-1][1]) for series in panel.series], LABEL_GAP, top + 6,
                    bottom)
    # Ours last: on top of the others.
    for series, place in sorted(zip(panel.series, places), key=lambda both: both[0].who == 'slipring'):
        who, style = _class(series.who), styles[series.who]
        points = [(x_of(x), y_of(y)) for x, y in series.points]
        classes = ' '.join(['line', who] + ['ours'] * (series.who == 'slipring') +
                           ['floor'] * (series.who == 'floor') + ['variant'] * series.dashed)
        text = ' '.join(f'{x:.1f},{y:.1f}' for x, y in points)
        out.append(f'<polyline class="{classes}" points="{text}"/>')
        if style[2]:
            out += [_mark(x, y, style, who, series.dashed) for x, y in points]
        end_x, end_y = points[-1]
        # Of a line that ends early, so that nobody takes it for the line.
        far = ' far' if end_x < right - 30 else ''
        out.append(f'<path class="leader{far} {who}" d="M{end_x + 5:.1f} {end_y:.1f}L{right + 16} '
                   f'{place:.1f}"/>')
        out.append(_mark(right + 22, place, style, who, series.dashed) if style[2] else
                   f'<path class="line floor {who}" d="M{right + 16} {place:.1f}H{right + 28}"/>')
        out.append(_text(right + 32, place + 4, series.label,
                         'small ink' + ' bold' * (series.who == 'slipring')))
    return out


def draw(title, note, panels, machine, height=330):
    """The text of an SVG file: panels one below the other, a title above, the machine below."""
    styles = _styles(panels)
    full = 62 + len(panels) * (height + 84) + 18
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {full}" width="{WIDTH}" '
           f'height="{full}"',
           '     font-family="DejaVu Sans, Helvetica, Arial, sans-serif" role="img" '
           f'aria-label={quoteattr(title)}>',
           f'<title>{escape(title)}</title>', *_style_sheet(styles),
           f'<rect class="back" width="{WIDTH}" height="{full}"/>',
           _text(24, 30, title, 'title ink'), _text(24, 50, note, 'small dim')]
    for i, panel in enumerate(panels):
        out += _draw_panel(panel, styles, 92 + i * (height + 84), height)
    out.append(_text(24, full - 12, f"{machine_line(machine)}, medians of {machine['rounds']} rounds",
                     'small dim'))
    return '\n'.join(out) + '\n</svg>\n'
