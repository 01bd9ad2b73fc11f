//! The walls of a lease by themselves: what a program within them sees, writes, leaves and tells.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blueprint::adapters::process::{
    Address, Command, Environment, Excess, Executor, Exit, Limits, Network, Stay, Stop,
};
use blueprint::domain::quantity::Bytes;
use common::lease::{Lease, command_lines};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Whether a program with exactly this command line runs.
fn alive(name: &str) -> bool {
    command_lines().iter().any(|line| line == name)
}

/// Leaves its group, its session and its environment.
const DAEMON: &str = "import os, sys\n\
    if os.fork(): os.wait(); os._exit(0)\n\
    os.setsid()\n\
    if os.fork(): os._exit(0)\n\
    null = os.open('/dev/null', os.O_RDWR)\n\
    for fd in range(3): os.dup2(null, fd)\n\
    os.execve('/bin/sh', ['sh', '-c', sys.argv[1]], {})";

fn daemon(lease: &Lease, line: &str) -> Command {
    let mut command = lease.command("exec python3 -c \"$0\" \"$1\"");
    command.args.extend([DAEMON.into(), line.into()]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_sees_its_own_lease_and_nothing_else_that_is_not_everybodys() {
    let lease = Lease::open().await;
    let root = lease.root.display();
    for stay in [Stay::Lasting, Stay::Fleeting] {
        assert_eq!(lease.says(stay, "cat code").await, "outside");
        assert_eq!(lease.says(stay, "cat ~/.cargo/bin/tool").await, "outside");
        for hidden in ["home/.ssh/id", "repo/.git/HEAD", "other/code", "lease/private/home"] {
            let said = lease.says(stay, &format!("cat {root}/{hidden}; ls -d {root}/{hidden}")).await;
            assert!(said.contains("No such file"), "{hidden}: {said}");
        }
        assert_eq!(lease.says(stay, "ls /run").await, "");
        let said = lease.says(stay, "ls -d /proc/[0-9]* | wc -l").await;
        assert!(said.parse::<u32>().unwrap() <= 6, "{said}");
        assert!(lease.says(stay, "cat /etc/shadow").await.contains("denied"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_writes_into_its_lease_and_nowhere_else() {
    let lease = Lease::open().await;
    let root = lease.root.display();
    for stay in [Stay::Lasting, Stay::Fleeting] {
        for place in ["/usr/x", "/etc/x", "/x", "/run/x", "/dev/x", "/proc/sys/kernel/hostname", "/sys/x"] {
            let said = lease.says(stay, &format!("echo x > {place}")).await;
            assert!(!said.is_empty(), "{place}");
        }
        for place in ["~/x", "/tmp/x", "/var/tmp/x", "/dev/shm/x", "x", &format!("{root}/lease/scratch/x")] {
            assert_eq!(lease.says(stay, &format!("echo x > {place} && cat {place}")).await, "x", "{place}");
        }
        assert_eq!(lease.says(stay, "echo named >> $NAMED && tail -n 1 code").await, "named");
        let moved = lease.says(stay, &format!("mv {root}/lease/tree {root}/lease/away")).await;
        assert!(moved.contains("busy"), "{moved}");
    }
    assert!(!lease.root.join("home/x").exists() && lease.root.join("lease/tree/x").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fleeting_program_writes_is_gone_for_the_next_and_what_set_up_left_is_there() {
    let lease = Lease::open().await;
    let kept = format!("{}/lease/scratch", lease.root.display());
    let places = ["~/x", "/tmp/x", "/var/tmp/x", "x", "~/.cache/a/x"];
    for place in places {
        let line = format!("mkdir -p $(dirname {place}); echo lasting > {place}");
        assert_eq!(lease.says(Stay::Lasting, &line).await, "");
    }
    for _ in 0..2 {
        for place in places {
            let line = format!("cat {place}; echo fleeting > {place}; cat {place}; echo > $(dirname {place})/y");
            assert_eq!(lease.says(Stay::Fleeting, &line).await, "lasting\nfleeting", "{place}");
            let line = format!("ls $(dirname {place})");
            assert!(!lease.says(Stay::Fleeting, &line).await.contains('y'), "{place}");
        }
        assert_eq!(lease.says(Stay::Fleeting, "ls /dev/shm; echo x > /dev/shm/x").await, "");
    }
    // Only what it is told of by name is seen outside.
    fs::create_dir(lease.root.join("lease/scratch/x-1")).unwrap();
    fs::write(lease.root.join("lease/scratch/earlier"), "").unwrap();
    let said = lease.says(Stay::Fleeting, &format!("ls {kept}; echo x > {kept}/y; echo r > {kept}/x-1/r")).await;
    assert_eq!(said, "x-1");
    assert_eq!(fs::read_to_string(lease.root.join("lease/scratch/x-1/r")).unwrap(), "r\n");
    assert_eq!(lease.says(Stay::Fleeting, &format!("cd {kept}; ls")).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_has_few_rights_and_can_get_no_more() {
    let lease = Lease::open().await;
    let said = lease.says(Stay::Lasting, "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status").await;
    assert!(said.contains("NoNewPrivs:\t1"), "{said}");
    for line in said.lines().filter(|line| line.starts_with("Cap")) {
        let bits = u64::from_str_radix(line.split_ascii_whitespace().last().unwrap(), 16).unwrap();
        // Neither of the administration of the system, nor of tracing, devices, modules, raw I/O, networks.
        assert_eq!(bits & (1 << 21 | 1 << 19 | 1 << 27 | 1 << 16 | 1 << 17 | 1 << 12), 0, "{line}");
    }
    for line in ["mount -t tmpfs x /tmp", "umount /tmp", "kill -9 1; cat /proc/1/environ", "hostname x"] {
        assert!(!lease.says(Stay::Lasting, line).await.is_empty(), "{line}");
    }
    assert_eq!(lease.says(Stay::Lasting, "echo lives").await, "lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_makes_no_socket_that_no_network_parts_and_sees_no_keys_of_the_user() {
    let lease = Lease::open().await;
    let probe = "import ctypes, errno, platform, socket\n\
        def of(family, kind=socket.SOCK_STREAM):\n    \
            try:\n        socket.socket(family, kind).close()\n        return 'made'\n    \
            except OSError as error:\n        return errno.errorcode[error.errno]\n\
        print(*[of(f) for f in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)], of(socket.AF_NETLINK, socket.SOCK_RAW))\n\
        print(*[of(f) for f in (40, 38, 17, 31)], of(1 << 20))\n\
        socket.socketpair()[0].close()\n\
        system = ctypes.CDLL(None, use_errno=True)\n\
        calls = (425, 248, 249, 250) if platform.machine() == 'x86_64' else (425, 217, 218, 219)\n\
        for call in calls:\n    print(system.syscall(call, 0, 0, 0), errno.errorcode[ctypes.get_errno()])\n";
    fs::write(lease.root.join("lease/tree/probe.py"), probe).unwrap();
    for stay in [Stay::Lasting, Stay::Fleeting] {
        let said = lease.says(stay, "python3 probe.py").await;
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "made made made made");
        assert_eq!(lines[1], ["EAFNOSUPPORT"; 5].join(" "));
        assert_eq!(lines[2..], ["-1 ENOSYS"; 4]);
    }
    // Whatever comes of a program has no more.
    let again = "python3 -c \"import os, sys; os.execvp('python3', ['python3', '-c', 'import socket; socket.socket(40, 1)'])\" 2>&1 | tail -1";
    assert!(lease.says(Stay::Lasting, again).await.contains("Address family not supported"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_metered_program_left_behind_is_named_and_dead_when_its_end_is_told() {
    let lease = Lease::open().await;
    let line = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 81.5";
    let command = Command { metered: true, stay: Stay::Fleeting, ..daemon(&lease, line) };
    let done = lease.executor().run(command, &Stop::new()).await.unwrap();
    assert!(done.exit.success(), "{}", done.tail(5));
    assert!(!done.left.is_empty() && done.left.iter().all(|stray| !stray.name.is_empty()), "{:?}", done.left);
    let cpu: Duration = done.left.iter().map(|stray| stray.cpu).sum();
    assert!(cpu > Duration::from_millis(20) && done.usage.cpu.unwrap() >= cpu, "{:?}", done.usage);
    assert!(!alive("sleep 81.5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metered_program_takes_as_long_as_what_it_started_and_its_time_is_known() {
    let lease = Lease::open().await;
    let command = Command { metered: true, stay: Stay::Fleeting, ..daemon(&lease, "sleep 0.4") };
    let done = lease.executor().run(command, &Stop::new()).await.unwrap();
    assert_eq!(done.left, []);
    assert!(done.wall >= Duration::from_millis(380), "{:?}", done.wall);
    let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exit 3";
    let command = Command { metered: true, stay: Stay::Fleeting, ..lease.command(burn) };
    let done = lease.executor().run(command, &Stop::new()).await.unwrap();
    let usage = done.usage;
    assert_eq!(done.exit, Exit::Code(3));
    assert!(usage.cpu.unwrap() > Duration::from_millis(20) && usage.delay(done.wall).is_some(), "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_within_is_dead_when_it_is_settled_or_closed() {
    let lease = Lease::open().await;
    let [one, two] = [91, 92].map(|seconds| format!("sleep {seconds}.{}", std::process::id()));
    for (line, close) in [(&one, false), (&two, true)] {
        let done = lease.executor().run(daemon(&lease, &format!("exec {line}")), &Stop::new()).await.unwrap();
        assert_eq!(done.left, []);
        let began = Instant::now();
        while !alive(line) {
            assert!(began.elapsed() < Duration::from_secs(30), "{line} did not begin");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if close {
            lease.walls.close().await;
        } else {
            let left = lease.executor().settle("").await;
            assert_eq!(left.iter().map(|stray| &stray.name).collect::<Vec<_>>(), [line]);
        }
        assert!(!alive(line));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_within_is_reached_and_dies_when_it_is_stopped() {
    let lease = Lease::open().await;
    let line = format!("sleep 93.{}", std::process::id());
    let mut service = lease.executor().serve(lease.command(&format!("{line} & wait"))).await.unwrap();
    while !alive(&line) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(service.ended().is_none());
    service.stop().await;
    assert!(!alive(&line));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_missing_is_told_apart_from_one_that_fails() {
    let lease = Lease::open().await;
    let missing = Command::new("no-such-program-here", [""; 0], lease.root.join("lease/tree")).env(&lease.env);
    let error = lease.executor().run(missing, &Stop::new()).await.unwrap_err();
    assert!(matches!(error, blueprint::adapters::process::ProcessError::Missing { .. }), "{error}");
    let hidden = Command::shell("true", lease.root.join("repo")).env(&lease.env);
    let said = lease.executor().run(hidden, &Stop::new()).await;
    assert!(matches!(said, Err(blueprint::adapters::process::ProcessError::Start { .. })), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_costs_little_more_than_without_walls() {
    let began = Instant::now();
    let lease = Lease::open().await;
    let opened = began.elapsed();
    let mean = async |exec: Arc<dyn Executor>, stay| {
        let mut times = Vec::new();
        for _ in 0..60 {
            let command = Command {
                metered: true,
                stay,
                ..Command::new("true", [""; 0], lease.root.join("lease/tree")).env(&lease.env)
            };
            let began = Instant::now();
            exec.run(command, &Stop::new()).await.unwrap();
            times.push(began.elapsed());
        }
        times.sort();
        times[20]
    };
    let plain = mean(Arc::new(blueprint::adapters::executor::local::Local), Stay::Lasting).await;
    let lasting = mean(lease.executor(), Stay::Lasting).await;
    let fleeting = mean(lease.executor(), Stay::Fleeting).await;
    // A hundred times what it takes; how much that is, `benches/sandbox.rs` says.
    let most = plain + Duration::from_millis(50);
    let all = format!("open {opened:?}, plain {plain:?}, lasting {lasting:?}, fleeting {fleeting:?}");
    assert!(lasting < most && fleeting < most && opened < Duration::from_secs(3), "{all}");
}

/// Answers every connection on loopback with a line; where it listens.
async fn greeter(line: &'static str) -> Address {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(line.as_bytes()).await);
        }
    });
    Address::loopback(port)
}

/// What a server says, as a program hears it; what keeps it from hearing, in a word.
fn heard(host: &str, port: u16) -> String {
    format!(
        "python3 -c 'import socket
try:
    print(socket.create_connection((\"{host}\", {port}), 5).recv(99).decode())
except OSError as error:
    print(type(error).__name__)'"
    )
}

fn own(always: &[&Address], sometimes: &[&Address]) -> Network {
    let all = |list: &[&Address]| list.iter().map(|address| (*address).clone()).collect();
    Network::Own { always: all(always), sometimes: all(sometimes), proxies: Environment::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_a_loopback_of_its_own_and_reaches_nothing_of_this_machine_s() {
    let (one, two) = (Lease::open().await, Lease::open().await);
    let outside = greeter("outside").await;
    let listens = "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 47113)); \
        print(s.getsockname()[1], flush=True); import time; time.sleep(60)'";
    let mut served = Vec::new();
    for lease in [&one, &two] {
        served.push(lease.executor().serve(lease.command(listens)).await.unwrap());
    }
    for server in &mut served {
        let began = Instant::now();
        while server.tail(1) != "47113" {
            assert!(began.elapsed() < Duration::from_secs(60) && server.ended().is_none(), "{}", server.tail(9));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    for stay in [Stay::Lasting, Stay::Fleeting] {
        assert_eq!(one.says(stay, &heard("127.0.0.1", outside.port())).await, "ConnectionRefusedError");
        // Addresses elsewhere are refused at once, and not waited for.
        assert_eq!(one.says(stay, &heard("192.0.2.1", 80)).await, "ConnectionRefusedError");
    }
    let devices = one.says(Stay::Lasting, "cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '").await;
    assert_eq!(devices, "lo");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_this_machine_that_have_a_name_and_no_place_are_not_reached() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("blueprint-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listening = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let line =
        format!("python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"\\0{name}\")' 2>&1 | tail -1");
    assert!(Lease::open().await.says(Stay::Lasting, &line).await.contains("refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_is_reached_where_it_is_outside_and_some_of_it_only_for_a_while() {
    let (service, registry) = (greeter("service").await, greeter("registry").await);
    let named: Address = format!("localhost:{}", registry.port()).parse().unwrap();
    let lease = Lease::with(own(&[&service], &[&named])).await;
    let to_service = heard("127.0.0.1", service.port());
    let to_registry = heard("localhost", named.port());
    assert_eq!(lease.says(Stay::Fleeting, &to_service).await, "service");
    assert_eq!(lease.says(Stay::Lasting, &to_registry).await, "ConnectionRefusedError");
    let open = lease.walls.reach().await.unwrap();
    for _ in 0..2 {
        assert_eq!(lease.says(Stay::Lasting, &to_registry).await, "registry");
    }
    assert_eq!(open.used(), [(named, 2)]);
    drop(open);
    assert_eq!(lease.says(Stay::Lasting, &to_registry).await, "ConnectionRefusedError");
    assert_eq!(lease.says(Stay::Lasting, &to_service).await, "service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_may_be_reached_has_a_number_and_one_that_may_not_is_not_there_and_told() {
    let packages: Address = "packages.example:8443".parse().unwrap();
    let lease = Lease::with(own(&[], &[&packages])).await;
    let number = "python3 -c 'import socket; print(socket.gethostbyname(\"packages.example\"))'";
    assert_eq!(lease.says(Stay::Fleeting, number).await, "198.18.0.1");
    assert_eq!(lease.walls.missed(), Vec::<String>::new());
    assert_eq!(lease.says(Stay::Fleeting, &heard("telemetry.example", 443)).await, "gaierror");
    assert_eq!(lease.walls.missed(), ["telemetry.example"]);
    assert_eq!(lease.walls.missed(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reached_by_a_proxy_outside_is_reached_by_it_from_within() {
    // A proxy that says what it was asked for, and then is the host itself.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        // Who is tunnelled begins.
        let said = stream.read_u8().await.unwrap();
        stream.write_all(&[said, b'!']).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    let proxies = [("HTTPS_PROXY".to_owned(), format!("http://me:secret@127.0.0.1:{port}"))].into();
    let packages = "packages.example:443".parse().unwrap();
    let lease = Lease::with(Network::Own { always: vec![], sometimes: vec![packages], proxies }).await;
    let _open = lease.walls.reach().await.unwrap();
    let line = "python3 -c 'import socket; s = socket.create_connection((\"packages.example\", 443)); \
        s.send(b\"x\"); print(s.recv(9).decode())'";
    assert_eq!(lease.says(Stay::Lasting, line).await, "x!");
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("CONNECT packages.example:443 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_lowercase().contains("proxy-authorization: basic "), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_sockets_connect_where_the_programs_of_a_lease_are() {
    let lease = Lease::open().await;
    let serves = "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 47114)); print(1, flush=True)
while True: s.accept()[0].send(b\"within\")'";
    let mut server = lease.executor().serve(lease.command(serves)).await.unwrap();
    while server.tail(1) != "1" {
        assert!(server.ended().is_none(), "{}", server.tail(9));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let at = "127.0.0.1:47114".parse().unwrap();
    let socket = lease.executor().sockets(2).unwrap().pop().unwrap();
    let socket = tokio::net::TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
    let mut said = String::new();
    socket.connect(at).await.unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "within");
}

/// A hundred processes.
const MANY: &str = "for i in $(seq 100); do sleep 120 & done";

/// Who uses more than a lease may is killed within seconds with all that runs there, and so is what comes later.
async fn is_killed(limits: Limits, line: &str, why: &str) {
    let lease = Lease::limited(limits).await;
    assert!(lease.run(Stay::Lasting, "true").await.exit.success());
    let began = Instant::now();
    let exit = lease.run(Stay::Lasting, line).await.exit;
    assert!(matches!(exit, Exit::Beyond(_)) && exit.to_string().contains(why), "{line}: {exit}");
    // Five on a machine that is not busy.
    assert!(began.elapsed() < Duration::from_secs(60), "{line}: {:?}", began.elapsed());
    assert!(matches!(lease.run(Stay::Lasting, "true").await.exit, Exit::Beyond(_)));
    lease.walls.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_uses_more_of_the_machine_than_a_lease_may_is_killed_and_told_of_what() {
    let mib = |n: u64| Some(Bytes(n << 20));
    let sleeps = "import time; time.sleep(120)";
    let memory = Limits { memory: mib(300), ..Limits::default() };
    is_killed(memory, &format!("python3 -c 'a = bytearray(400 << 20); {sleeps}'"), "MiB of memory").await;
    is_killed(memory, "head -c 400M /dev/zero > /dev/shm/x; sleep 120", "MiB of memory").await;
    let processes = Limits { processes: Some(60), ..Limits::default() };
    is_killed(processes, &format!("{MANY}; sleep 120"), "`sandbox.limits.processes` is 60").await;
    let file = Limits { file: mib(100), ..Limits::default() };
    is_killed(file, "truncate -s 150M sparse; sleep 120", "150 MiB long").await;
    let disk = Limits { disk: mib(200), ..Limits::default() };
    is_killed(disk, "for i in 1 2 3 4; do head -c 64M /dev/urandom > ~/$i; done; sleep 120", "its files took").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_processes_share_counts_once() {
    let lease = Lease::limited(Limits { memory: Some(Bytes(400 << 20)), ..Limits::default() }).await;
    let line = "python3 -c '
import os, time
a = bytearray(200 << 20)
for i in range(8):
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)
for i in range(8): os.wait()'";
    let done = lease.run(Stay::Lasting, line).await;
    assert!(done.exit.success(), "{}", done.exit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_forks_or_fills_the_memory_is_killed_too() {
    let lease = Lease::limited(Limits { processes: Some(60), ..Limits::default() }).await;
    let exit = lease.run(Stay::Fleeting, &format!("{MANY}; sleep 120")).await.exit;
    assert!(matches!(exit, Exit::Beyond(Excess::Processes(..))), "{exit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_processes_has_few_of_the_machine_s_numbers() {
    let limit = fs::read_to_string("/proc/version").unwrap();
    let version: Vec<u32> = limit.split([' ', '.']).filter_map(|part| part.parse().ok()).take(2).collect();
    let lease = Lease::limited(Limits { processes: Some(200), ..Limits::default() }).await;
    let most = lease.says(Stay::Lasting, "cat /proc/sys/kernel/pid_max").await;
    // Kernels before 6.14 have one number for all of the machine, and only root may say it.
    if version >= vec![6, 14] && rustix::process::geteuid().is_root() {
        assert_eq!(most, "1000");
    }
    let exit = lease.run(Stay::Lasting, "b() { b | b & }; b; sleep 120").await.exit;
    assert!(matches!(exit, Exit::Beyond(Excess::Processes(..))), "{exit}");
}
