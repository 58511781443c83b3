"""Foxglove Studio in Chromium: npm's @foxglove/studio-base on a page of ours, and what it is served by."""
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, '..'))
import chromium  # noqa: E402
# 56 MB of script, which is read anew for each page.
chromium.PATIENCE_S = 300
from chromium import PATIENCE_S, until  # noqa: E402

TYPES = {'.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript',
         '.wasm': 'application/wasm', '.mcap': 'application/octet-stream', '.png': 'image/png',
         '.ttf': 'font/ttf'}


def install(modules):
    """As the lock file has it; once, as long as that does not change."""
    status = subprocess.run([os.path.join(HERE, 'npm-install'), modules, 'studio'],
                            check=False).returncode
    if status != 0:
        sys.exit(status)


class Site(http.server.ThreadingHTTPServer):
    """The page, the packages that it is made of, and recordings by range."""

    daemon_threads = True

    def __init__(self, modules):
        self.modules, self.files, self.ranges = modules, {}, []
        super().__init__(('127.0.0.1', 0), self.Handler)
        self.address = f'127.0.0.1:{self.server_address[1]}'
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    def end(self):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request, client_address):
        """A browser that has enough of a file closes its connection."""

    def page(self, source, layout, **parameters):
        query = {'ds': source, 'layout': json.dumps(layout),
                 **{f'ds.{name}': value for name, value in parameters.items()}}
        return f'http://{self.address}/?' + urllib.parse.urlencode(query)

    def recording(self, path):
        """The URL that a file is served at."""
        name = '/files/' + os.path.basename(path)
        self.files[name] = path
        return f'http://{self.address}{name}'

    def find(self, path):
        if path in self.files:
            return self.files[path]
        if path in ('/', '/page.mjs'):
            return os.path.join(HERE, 'studio', 'page.html' if path == '/' else path[1:])
        if re.fullmatch(r'/node_modules(/[@\w-][@\w.-]*)+', path):
            return os.path.join(self.modules, path[1:])
        return None

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self):
            path = self.server.find(urllib.parse.urlsplit(self.path).path)
            if not path or not os.path.isfile(path):
                self.send_error(404)
                return
            wanted = re.fullmatch(r'bytes=(\d+)-(\d+)', self.headers.get('Range', ''))
            with open(path, 'rb') as file:
                data = file.read()
            size, status = len(data), 200
            if wanted:
                first, last = int(wanted[1]), min(int(wanted[2]), size - 1)
                data, status = data[first:last + 1], 206
                self.server.ranges.append((first, last))
            self.send_response(status)
            self.send_header('Content-Type', TYPES[os.path.splitext(path)[1]])
            self.send_header('Content-Length', str(len(data)))
            self.send_header('Accept-Ranges', 'bytes')
            if wanted:
                self.send_header('Content-Range', f'bytes {first}-{last}/{size}')
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass


class Browser(chromium.Browser):
    """It reaches this machine's loopback only: the rest goes to a proxy that is not there. The port is
    that of discard, which nothing listens on."""

    def __init__(self, profile):
        super().__init__(profile, '--proxy-server=127.0.0.1:9',
                         '--proxy-bypass-list=<-loopback>;127.0.0.1')

    def text(self):
        return self.run('document.body?.innerText ?? ""')

    def canvas(self):
        """What the plot shows, which a worker draws, as a picture."""
        box = until('there is a canvas', lambda: self.run(
            '(() => { const r = document.querySelector("canvas")?.getBoundingClientRect();'
            ' return r?.width ? [r.x, r.y, r.width, r.height] : null; })()'))
        return self.call('Page.captureScreenshot', format='png', clip=dict(zip(
            ('x', 'y', 'width', 'height'), box), scale=1))['data']

    def drawn(self, picture):
        """How many of its pixels have the colour of the first curve."""
        return self.run(
            '(async () => { const image = new Image();'
            f' image.src = "data:image/png;base64,{picture}"; await image.decode();'
            ' const canvas = new OffscreenCanvas(image.width, image.height);'
            ' const context = canvas.getContext("2d"); context.drawImage(image, 0, 0);'
            ' const data = context.getImageData(0, 0, image.width, image.height).data;'
            ' let count = 0; for (let i = 0; i < data.length; i += 4)'
            ' count += Math.hypot(data[i] - 0x4e, data[i + 1] - 0x98, data[i + 2] - 0xe2) < 40;'
            ' return count; })()')


def layout(topic, plots, width_s=20):
    """A plot of fields, the last seconds or all there is, and beside it the newest message of a topic."""
    plot = {
        'title': topic, 'showLegend': True, 'legendDisplay': 'top', 'showPlotValuesInLegend': True,
        'showXAxisLabels': True, 'showYAxisLabels': True, 'isSynced': True, 'xAxisVal': 'timestamp',
        'sidebarDimension': 240, 'paths': [
            {'value': path, 'enabled': True, 'timestampMethod': 'receiveTime'} for path in plots]}
    if width_s:
        plot['followingViewWidth'] = width_s
    return {'configById': {
                'Plot!1': plot,
                'RawMessages!1': {'topicPath': topic, 'diffEnabled': False, 'diffMethod': 'custom',
                                  'diffTopicPath': '', 'showFullMessageForDiff': False,
                                  'expansion': 'all'}},
            'layout': {'direction': 'row', 'first': 'Plot!1', 'second': 'RawMessages!1',
                       'splitPercentage': 68},
            'globalVariables': {}, 'userNodes': {}, 'playbackConfig': {'speed': 1}}
