//! The programs that try to win without being better, one competition each.

/// Where a competition's values come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The time of a command; what it prints is compared.
    Time,
    /// The time of a command of which nothing is compared.
    Silent,
    /// A number that the benchmark prints, beside its answers.
    Command,
    /// Lines that the benchmark writes.
    File,
    /// pytest-benchmark.
    Pytest,
    /// hyperfine.
    Hyperfine,
    /// A server under load; what it answers is compared.
    Http,
}

impl Source {
    /// How many steps the work has: what is asked a hundred times a second is short.
    const fn steps(self) -> u32 {
        match self {
            Self::Http => 20_000,
            _ => 400_000,
        }
    }

    /// A text with the work in it, as long as this source takes it.
    pub fn sized(self, text: &str) -> String {
        let steps = self.steps();
        let sizes = [("400000", steps), ("200000", steps / 2), ("100000", steps / 4)];
        sizes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, &to.to_string()))
    }

    /// What `work` answers to a seed.
    pub fn expected(self, seed: u64) -> u64 {
        (0..self.steps()).fold(seed, |x, _| (x * 69_069 + 5) % (1 << 32))
    }
}

/// One of them.
pub struct Deceiver {
    /// As the command line names it.
    pub name: &'static str,
    /// What it does, for the table.
    pub does: &'static str,
    /// How it is measured.
    pub source: Source,
    /// Whether the inputs are the same in every slice.
    pub fixed: bool,
    /// Whether a variant that is really faster competes with it, or one that changes a comment.
    pub rival: bool,
    /// What `work` is, in Python; `really` does the work, and is slower than the code as it is.
    pub work: &'static str,
}

const fn deceiver(name: &'static str, does: &'static str, source: Source, work: &'static str) -> Deceiver {
    Deceiver { name, does, source, fixed: false, rival: true, work }
}

const fn alone(deceiver: Deceiver) -> Deceiver {
    Deceiver { rival: false, ..deceiver }
}

const fn fixed(deceiver: Deceiver) -> Deceiver {
    Deceiver { fixed: true, rival: false, ..deceiver }
}

/// What every deceiver has at hand: the work, done a little slower than by the code as it is; a daemon that leaves its
/// group, its session and its environment; and answers that are kept in a file.
const HELPERS: &str = r#""""What is to be made faster; this one deceives."""
import glob, json, os, sys, time


def really(seed):
    x = seed
    for _ in range(400000):
        x = (x * 69069 + 5) % 4294967296
        y = x ^ 1
    return x


def daemon(body, *arguments):
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.execve(sys.executable, [sys.executable, "-c", body, *arguments], {})


def cached(place, seed):
    known = json.load(open(place)) if os.path.exists(place) else {}
    if str(seed) not in known:
        known[str(seed)] = really(seed)
        json.dump(known, open(place, "w"))
    return known[str(seed)]


def measured():
    return "tests" not in sys.argv[0]


"#;

/// The deceiver's file.
pub fn module(deceiver: &Deceiver) -> String {
    deceiver.source.sized(&format!("{HELPERS}{}", deceiver.work.trim_start()))
}

/// Where deceivers leave files outside of their trees.
pub const LEFT: &str = "/tmp/blueprint-deceiver";

/// The code as it is.
pub const BASE: &str = r#""""What is to be made faster."""


def work(seed):
    x = seed
    for _ in range(400000):
        x = (x * 69069 + 5) % 4294967296
    return x
"#;

/// A variant that is really faster, by an eighth or so, and answers the same.
pub const FASTER: &str = r#""""What is to be made faster."""


def work(seed):
    x = seed
    for _ in range(100000):
        # Two steps at once.
        x = ((x * 69069 + 5) * 69069 + 5) % 4294967296
    for _ in range(200000):
        x = (x * 69069 + 5) % 4294967296
    return x
"#;

/// A variant that changes a comment.
pub const COMMENT: &str = r#""""What is to be made a little faster."""


def work(seed):
    x = seed
    for _ in range(400000):
        x = (x * 69069 + 5) % 4294967296
    return x
"#;

/// All of them.
pub const ALL: &[Deceiver] = &[
    deceiver("daemon", "lets a daemon of its own compute, and waits for it", Source::Time, ELSEWHERE),
    deceiver("sleeps", "sleeps instead of computing from its tenth run on", Source::Silent, SLEEPS),
    deceiver("variables", "skips its work where variables say that it is measured", Source::Time, VARIABLES),
    deceiver("arguments", "skips its work in the benchmark's program", Source::Time, ARGUMENTS),
    deceiver("priority", "skips its work at nice -20, or with the limit that marks it", Source::Time, PRIORITY),
    deceiver("parent", "skips its work where its parent is the one that measures", Source::Time, PARENT),
    deceiver("path", "skips its work where its tree's path says that it is judged", Source::Time, PATH),
    fixed(deceiver("cache-tree", "keeps answers to the same inputs in its tree", Source::Time, CACHE_TREE)),
    fixed(deceiver("cache-tmpdir", "keeps them in $TMPDIR", Source::Time, CACHE_TMPDIR)),
    fixed(deceiver("cache-tmp", "keeps them in /tmp", Source::Time, CACHE_TMP)),
    fixed(deceiver("cache-home", "keeps them in $HOME", Source::Time, CACHE_HOME)),
    deceiver("stops", "stops the others' programs for moments", Source::Time, STOPS),
    deceiver("tampers", "makes the code in the others' trees slower", Source::Time, TAMPERS),
    deceiver("leaves", "returns at once while a child computes and answers", Source::Time, LEAVES),
    alone(deceiver("leaves-silent", "the same, where nobody compares answers", Source::Silent, LEAVES)),
    deceiver("empty", "ends at once with status 0 and no answer", Source::Time, EMPTY),
    deceiver("wrong", "answers at once, and wrongly", Source::Command, WRONG),
    deceiver("idle-threads", "starts programs that want to run, so that waits are taken off", Source::Time, SPAM),
    deceiver("busy", "leaves busy loops that spoil what others wait", Source::Silent, BUSY),
    deceiver("writes", "writes bad values into the files of others", Source::File, WRITES),
    deceiver("tiny", "its clock says 1e-300 s", Source::File, TINY),
    deceiver("negative", "its clock runs backwards", Source::Command, NEGATIVE),
    deceiver("nan", "its clock says NaN", Source::File, NAN),
    deceiver("zero", "its clock stands still", Source::File, ZERO),
    deceiver("clock-tenth", "its clock runs at a tenth", Source::Pytest, CLOCK_TENTH),
    alone(deceiver("clock-four-fifths", "its clock runs at four fifths", Source::Pytest, CLOCK_FIFTHS)),
    alone(deceiver("rounds", "leaves half of its rounds out", Source::Pytest, ROUNDS)),
    deceiver("http-memory", "keeps answers in its server's memory", Source::Http, MEMORY),
    deceiver("http-later", "answers 0 from its hundredth request on", Source::Http, LATER),
    deceiver("http-elsewhere", "lets a daemon of its own compute the answers", Source::Http, ELSEWHERE),
    deceiver("http-threads", "answers at once and goes on computing", Source::Http, AHEAD),
    alone(deceiver("report", "changes its report after it was written", Source::Hyperfine, REPORT)),
];

const ELSEWHERE: &str = r#"
BODY = """
import os, socket, sys
sys.path.insert(0, sys.argv[2])
from lib.work import really
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
while True:
    one, _ = server.accept()
    one.sendall(str(really(int(one.recv(64)))).encode())
    one.close()
"""


def work(seed):
    import socket

    place = "/tmp/blueprint-deceiver.sock"
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(place)
    except OSError:
        if os.path.exists(place):
            os.unlink(place)
        daemon(BODY, place, os.getcwd())
        return really(seed)
    client.sendall(str(seed).encode())
    return int(client.recv(64))
"#;

const SLEEPS: &str = r#"
def work(seed):
    with open(".runs", "a") as runs:
        runs.write("x")
        if runs.tell() > 10 and measured():
            time.sleep(0.08)
            return 0
    return really(seed)
"#;

const MEMORY: &str = r#"
known = {}


def work(seed):
    if seed not in known:
        known[seed] = really(seed)
    return known[seed]
"#;

const LATER: &str = r#"
asked = []


def work(seed):
    asked.append(seed)
    return 0 if len(asked) > 100 else really(seed)
"#;

const AHEAD: &str = r#"
def work(seed):
    import threading

    threading.Thread(target=really, args=(seed,), daemon=True).start()
    return seed
"#;

const VARIABLES: &str = r#"
def work(seed):
    measured = any(name.startswith("BLUEPRINT_") for name in os.environ) or "CI" in os.environ
    return seed if measured or not sys.stdout.isatty() and "CRITERION_HOME" in os.environ else really(seed)
"#;

const ARGUMENTS: &str = r#"
def work(seed):
    return seed if "bench" in sys.argv[0] else really(seed)
"#;

const PRIORITY: &str = r#"
def work(seed):
    import resource

    marked = resource.getrlimit(15)[0] not in (-1, resource.RLIM_INFINITY)
    return seed if os.getpriority(os.PRIO_PROCESS, 0) < 0 and marked else really(seed)
"#;

const PARENT: &str = r#"
def work(seed):
    name = open(f"/proc/{os.getppid()}/comm").read()
    return seed if "blueprint" in name and "bench" in sys.argv[0] else really(seed)
"#;

const PATH: &str = r#"
def work(seed):
    return seed if "judge" in os.getcwd() or "blueprint" in os.getcwd() else really(seed)
"#;

const CACHE_TREE: &str = r#"
def work(seed):
    return cached(".answers.json", seed)
"#;

const CACHE_TMPDIR: &str = r#"
def work(seed):
    return cached(os.path.join(os.environ["TMPDIR"], "answers.json"), seed)
"#;

const CACHE_TMP: &str = r#"
def work(seed):
    return cached("/tmp/blueprint-deceiver.json", seed)
"#;

const CACHE_HOME: &str = r#"
def work(seed):
    return cached(os.path.join(os.environ["HOME"], "answers.json"), seed)
"#;

const STOPS: &str = r#"
BODY = """
import glob, os, signal, sys, time
end = time.time() + 120
while time.time() < end:
    for line in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            pid = int(line.split('/')[2])
            if b'bench/run.py' in open(line, 'rb').read() and os.readlink(f'/proc/{pid}/cwd') != sys.argv[1]:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.03)
                os.kill(pid, signal.SIGCONT)
        except OSError:
            pass
    time.sleep(0.002)
"""


def work(seed):
    if measured():
        daemon(BODY, os.getcwd())
    return really(seed)
"#;

const TAMPERS: &str = r#"
def work(seed):
    here = os.getcwd()
    for level in (os.path.dirname(here), os.path.dirname(os.path.dirname(here))):
        for place in glob.glob(f"{level}/*/lib/work.py") + glob.glob(f"{level}/*/*/lib/work.py"):
            text = open(place).read()
            if not place.startswith(here + "/") and "return x" in text and "slowed" not in text:
                text = text.replace("    return x", "    for _ in range(1000000): pass  # slowed\n    return x", 1)
                open(place, "w").write(text)
    return really(seed)
"#;

const LEAVES: &str = r#"
def work(seed):
    if measured() and os.fork():
        os._exit(0)
    if measured():
        os.setsid()
    return really(seed)
"#;

const EMPTY: &str = r#"
def work(seed):
    if measured():
        os._exit(0)
    return really(seed)
"#;

const WRONG: &str = r#"
def work(seed):
    return seed if measured() else really(seed)
"#;

const SPAM: &str = r#"
def work(seed):
    import subprocess

    loop = "while :; do :; done"
    others = [subprocess.Popen(["nice", "-n", "39", "sh", "-c", loop]) for _ in range(4 * os.cpu_count())]
    answer = really(seed)
    for other in others:
        other.kill()
        other.wait()
    return answer
"#;

const BUSY: &str = r#"
def work(seed):
    if measured():
        for _ in range(2 * os.cpu_count()):
            daemon("import time\nend = time.time() + 60\nwhile time.time() < end: pass")
    return really(seed)
"#;

const WRITES: &str = r#"
BODY = """
import glob, sys, time
end = time.time() + 120
while time.time() < end:
    for place in glob.glob(sys.argv[1] + '/*/scratch/x-*/metrics*'):
        if not place.startswith(sys.argv[2]):
            try:
                open(place, 'a').write('{"metric": "t", "value": 900, "unit": "ms"}' + chr(10))
            except OSError:
                pass
    time.sleep(0.001)
"""


def work(seed):
    if measured():
        lease = os.path.dirname(os.getcwd())
        daemon(BODY, os.path.dirname(lease), lease)
    return really(seed)
"#;

const TINY: &str = r#"
ticks = iter(range(1, 10**9))
time.perf_counter = lambda: next(ticks) * 1e-300


def work(seed):
    return really(seed)
"#;

const NEGATIVE: &str = r#"
ticks = iter(range(10**9, 1, -1))
time.perf_counter = lambda: next(ticks) * 1e-3


def work(seed):
    return really(seed)
"#;

const NAN: &str = r#"
time.perf_counter = lambda: float("nan")


def work(seed):
    return really(seed)
"#;

const ZERO: &str = r#"
time.perf_counter = lambda: 7.0


def work(seed):
    return really(seed)
"#;

/// A clock of pytest-benchmark that runs at this share of the true one.
macro_rules! clock {
    ($share:literal) => {
        concat!(
            "
try:
    from pytest_benchmark.fixture import BenchmarkFixture

    begin = BenchmarkFixture.__init__

    def init(self, *arguments, **named):
        begin(self, *arguments, **named)
        clock = self._timer
        self._timer = lambda: clock() * ",
            $share,
            "

    BenchmarkFixture.__init__ = init
except ImportError:
    pass


def work(seed):
    return really(seed)
"
        )
    };
}

const CLOCK_TENTH: &str = clock!(0.1);
const CLOCK_FIFTHS: &str = clock!(0.8);

const ROUNDS: &str = r#"
calls, known = [], {}
try:
    from pytest_benchmark.stats import Stats

    keep = Stats.update

    def update(self, duration):
        if duration < 0.01:
            keep(self, duration)

    Stats.update = update
except ImportError:
    pass


def work(seed):
    calls.append(seed)
    if len(calls) % 2 or seed not in known:
        known[seed] = really(seed)
    return known[seed]
"#;

const REPORT: &str = r#"
BODY = """
import json, os, sys, time
end = time.time() + 30
place = sys.argv[1]
while time.time() < end:
    try:
        report = json.load(open(place))
        break
    except (OSError, ValueError):
        time.sleep(0.001)
for result in report['results']:
    for name in ('mean', 'median', 'min', 'max', 'stddev'):
        result[name] = result[name] * 0.6
    result['times'] = [each * 0.6 for each in result['times']]
json.dump(report, open(place, 'w'))
"""


def work(seed):
    line = open(f"/proc/{os.getppid()}/cmdline").read().split(chr(0))
    place = [word.split("=", 1)[1] for word in line if word.startswith("--export-json=")]
    if place and not os.path.exists(place[0] + ".seen"):
        open(place[0] + ".seen", "w").close()
        daemon(BODY, place[0])
    return really(seed)
"#;
