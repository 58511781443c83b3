"""Debian's Chromium with one page, driven over its debugging pipe, for the tests that need a browser."""
import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

# Patience, not a bound on how fast anything is.
PATIENCE_S = 120
PICTURES = os.environ.get('SLIPRING_TEST_PICTURES')


def require():
    """Ends a test that cannot be run here."""
    if os.environ.get('SLIPRING_TEST_LONG') != '1':
        print('skipped: a browser takes long; SLIPRING_TEST_LONG=1 runs it')
        sys.exit(77)
    if not shutil.which('chromium'):
        print('skipped: no chromium; deploy/install-packages browser installs it')
        sys.exit(1 if os.environ.get('SLIPRING_TEST_REQUIRE_BROWSER') == '1' else 77)


def until(what, call):
    """The first true result of a call."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        result = call()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError('never: ' + what)


class Browser:
    """Chromium with one page, over a pair of pipes: JSON with a NUL behind."""

    def __init__(self, profile, *options):
        to_browser, self.to = os.pipe()
        self.from_, from_browser = os.pipe()
        command = ['bash', '-c', f'exec "$@" 3<&{to_browser} 4>&{from_browser}', 'bash', 'chromium',
                   '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
                   '--no-first-run', '--disable-background-networking',
                   '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
                   '--remote-debugging-pipe', f'--user-data-dir={profile}', *options, 'about:blank']
        self.log = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(command, pass_fds=(to_browser, from_browser), text=True,
                                        stderr=self.log, stdout=self.log)
        os.close(to_browser)
        os.close(from_browser)
        self.rest, self.serial, self.session = b'', 0, None
        self.complaints, self.requests = [], []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self.session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Runtime', 'Log', 'Page', 'Network'):
            self.call(domain + '.enable')
        # Workers wait until it is noted what they ask for.
        self.call('Target.setAutoAttach', autoAttach=True, waitForDebuggerOnStart=True, flatten=True)

    def message(self, deadline):
        while b'\0' not in self.rest:
            ready, _, _ = select.select([self.from_], [], [], max(deadline - time.monotonic(), 0))
            block = os.read(self.from_, 1 << 20) if ready else b''
            if not block:
                self.log.seek(0)
                raise AssertionError('the browser does not answer: ' + self.log.read()[-2000:])
            self.rest += block
        one, self.rest = self.rest.split(b'\0', 1)
        return json.loads(one)

    def note(self, event):
        method, params = event.get('method'), event.get('params', {})
        if method == 'Runtime.exceptionThrown':
            self.complaints.append(json.dumps(params['exceptionDetails'])[:500])
        elif method == 'Runtime.consoleAPICalled' and params['type'] in ('error', 'warning', 'assert'):
            self.complaints.append(json.dumps(params['args'])[:500])
        elif method == 'Log.entryAdded' and params['entry']['level'] in ('error', 'warning'):
            entry = params['entry']
            # While the server is away the browser itself says that it cannot connect.
            if 'ERR_CONNECTION_REFUSED' not in entry['text']:
                self.complaints.append(f"{entry['source']}: {entry['text']}")
        elif method == 'Network.requestWillBeSent':
            self.requests.append(params['request']['url'][:100])
        elif method == 'Network.webSocketCreated':
            self.requests.append(params['url'][:100])
        elif method == 'Target.attachedToTarget' and params['waitingForDebugger']:
            for begin in ('Network.enable', 'Runtime.runIfWaitingForDebugger'):
                self.send(begin, params['sessionId'], {})

    def send(self, method, session, params):
        self.serial += 1
        message = {'id': self.serial, 'method': method, 'params': params}
        if session:
            message['sessionId'] = session
        os.write(self.to, json.dumps(message).encode() + b'\0')
        return self.serial

    def call(self, method, **params):
        serial = self.send(method, self.session, params)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.message(deadline)
            if answer.get('id') == serial:
                assert 'error' not in answer, (method, answer)
                return answer['result']
            self.note(answer)

    def run(self, script):
        result = self.call('Runtime.evaluate', expression=script, returnByValue=True,
                           awaitPromise=True)
        assert 'exceptionDetails' not in result, (script, result)
        return result['result'].get('value')

    def load(self, url, width=1100, height=800, dark=False):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        self.call('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])
        # From another page, so that a part behind '#' is loaded, too.
        self.call('Page.navigate', url='about:blank')
        self.call('Page.navigate', url=url)

    def click(self, element):
        """As a user does: with the mouse, in the middle of it."""
        box = until(f'there is {element}', lambda: self.run(
            f'(() => {{ const e = {element}; if (!e) return null; e.scrollIntoView({{block: "center"}});'
            ' const r = e.getBoundingClientRect();'
            ' return r.width ? [r.x + r.width / 2, r.y + r.height / 2] : null; })()'))
        for kind, button in (('mouseMoved', 'none'), ('mousePressed', 'left'), ('mouseReleased', 'left')):
            self.call('Input.dispatchMouseEvent', type=kind, x=box[0], y=box[1], button=button,
                      clickCount=0 if button == 'none' else 1)

    def picture(self, name):
        data = self.call('Page.captureScreenshot', format='png')['data']
        if PICTURES:
            with open(os.path.join(PICTURES, name + '.png'), 'wb') as file:
                file.write(base64.b64decode(data))
        return data

    def end(self):
        """It ends with its pipe."""
        os.close(self.to)
        self.process.wait(PATIENCE_S)
        os.close(self.from_)
