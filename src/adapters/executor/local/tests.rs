//! Programs that are run, stopped, metered and named.

use super::super::orphans::GRACE;
use super::*;
use crate::adapters::process::{Environment, Pulse, Vital};

fn shell(line: &str) -> Command {
    let env: Environment =
        [("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()), ("MARK".to_owned(), line.len().to_string())]
            .into();
    Command::shell(line, std::env::temp_dir()).env(&env)
}

#[tokio::test]
async fn a_program_gets_only_the_environment_it_was_given() {
    let done = Local.run(shell("env | sort"), &Stop::new()).await.unwrap();
    let names: Vec<_> = done.text().lines().map(|l| l.split('=').next().unwrap().to_owned()).collect();
    assert!(done.exit.success());
    assert!(names.iter().all(|n| ["MARK", "PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&n.as_str())), "{names:?}");
}

/// What a program of this command says of the CPUs that it and its children may use.
async fn allowed(cpus: Vec<usize>) -> Result<Finished, ProcessError> {
    let command = shell("sh -c 'grep Cpus_allowed_list: /proc/self/status'");
    Local.run(Command { cpus, ..command }, &Stop::new()).await
}

#[tokio::test]
async fn a_program_and_what_it_starts_run_on_the_cpus_that_were_asked_for() {
    let anywhere = allowed(Vec::new()).await.unwrap().text();
    let list = anywhere.split_whitespace().last().unwrap();
    let first: usize = list.split(['-', ',']).next().unwrap().parse().unwrap();
    let last: usize = list.rsplit(['-', ',']).next().unwrap().parse().unwrap();
    for cpu in [first, last] {
        let said = allowed(vec![cpu]).await.unwrap().text();
        assert_eq!(said.split_whitespace().last().unwrap(), cpu.to_string());
    }
    assert_eq!(allowed(Vec::new()).await.unwrap().text(), anywhere, "nothing of it sticks to us");
}

#[tokio::test]
async fn cpus_that_are_not_there_keep_a_program_from_starting() {
    for cpu in [1023, 1_000_000] {
        assert!(matches!(allowed(vec![cpu]).await, Err(ProcessError::Start { .. })), "{cpu}");
    }
}

#[tokio::test]
async fn a_missing_program_and_a_missing_directory_are_told_apart() {
    let missing = Command::new("no-such-program-here", [""; 0], std::env::temp_dir());
    assert!(matches!(Local.run(missing, &Stop::new()).await, Err(ProcessError::Missing { .. })));
    let nowhere = Command::shell("true", "/no/such/directory");
    let error = Local.run(nowhere, &Stop::new()).await.unwrap_err();
    assert!(matches!(error, ProcessError::Start { .. }));
}

#[tokio::test]
async fn a_program_that_ignores_term_is_killed_with_its_children_after_the_grace() {
    let mut command = shell("trap '' TERM; sleep 60 & echo $!; wait; sleep 60").limit(Duration::from_millis(300));
    command.grace = Duration::from_millis(200);
    let started = Instant::now();
    let done = Local.run(command, &Stop::new()).await.unwrap();
    assert_eq!(done.exit, Exit::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(5));
    let child = done.text().trim().to_owned();
    let state = || fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    // Whoever was killed is gone when it next gets a core, if only to end there.
    while !(state().is_empty() || state().contains(") Z ")) {
        assert!(started.elapsed() < Duration::from_secs(20), "the child lives: {}", state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn cpu_time_covers_reaped_children() {
    let burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let done = Local.run(shell(&format!("sh -c '{burn}'; true")), &Stop::new()).await.unwrap();
    assert!(done.usage.cpu.unwrap() > Duration::from_millis(20), "{:?}", done.usage);
}

#[tokio::test]
async fn much_output_is_drained_and_its_end_is_kept() {
    let done = Local.run(shell("head -c 20000000 /dev/zero; echo end"), &Stop::new()).await.unwrap();
    assert_eq!(done.stdout.len(), 1 << 20);
    assert!(done.stdout.ends_with(b"end\n"));
}

#[tokio::test]
async fn input_is_written_and_a_stop_ends_the_program() {
    let mut cat = shell("cat");
    cat.stdin = Some(b"hello".to_vec());
    assert_eq!(Local.run(cat, &Stop::new()).await.unwrap().text(), "hello");
    let stop = Stop::new();
    stop.cancel();
    assert_eq!(Local.run(shell("sleep 60"), &stop).await.unwrap().exit, Exit::Stopped);
}

#[tokio::test]
async fn a_service_dies_when_it_is_stopped_or_dropped() {
    let mut service = Local.serve(shell("echo ready; sleep 60")).await.unwrap();
    assert!(service.ended().is_none());
    assert_eq!(service.stop().await, Exit::Stopped);
    let service = Local.serve(shell("sleep 60")).await.unwrap();
    let pid = service.pid();
    drop(service);
    for _ in 0..100 {
        if !fs::exists(format!("/proc/{pid}")).unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the service outlived its handle");
}

#[tokio::test]
async fn a_pulse_tells_what_was_printed_and_computed_also_by_what_left_the_group() {
    let burn = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; sleep 60";
    let mut command = shell(&format!("printf 12345; setsid sh -c '{burn}' & wait"));
    let pulse = Pulse::default();
    assert_eq!(pulse.read(), Vital::default());
    command.pulse = Some(pulse.clone());
    command.env.insert("BLUEPRINT_RUN".to_owned(), "pulse-test".to_owned());
    let stop = Stop::new();
    let looked = async {
        let began = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let seen = pulse.read();
            if seen.output == 5 && seen.cpu >= Duration::from_millis(30) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{seen:?}");
        }
        stop.cancel();
    };
    let (done, ()) = tokio::join!(Local.run(command, &stop), looked);
    assert_eq!(done.unwrap().exit, Exit::Stopped);
    Local.sweep("BLUEPRINT_RUN", "pulse-test").await;
}

/// Leaves its group, its session and its environment, is handed to whoever takes orphans, and computes or
/// sleeps for long.
const DAEMON: &str = "import os, sys, time\n\
    if os.fork(): os.wait(); os._exit(0)\n\
    os.setsid()\n\
    if os.fork(): os._exit(0)\n\
    null = os.open('/dev/null', os.O_RDWR)\n\
    for fd in range(3): os.dup2(null, fd)\n\
    os.execve('/bin/sh', ['sh', '-c', sys.argv[1]], {})";

fn daemon(line: &str, lease: &str) -> Command {
    let mut command = shell("exec python3 -c \"$0\" \"$1\"");
    command.args.extend([DAEMON.into(), line.into()]);
    command.env.insert("HOME".to_owned(), std::env::var("HOME").unwrap());
    command.env.insert("PATH".to_owned(), std::env::var("PATH").unwrap());
    command.env.insert("BLUEPRINT_LEASE".to_owned(), lease.to_owned());
    command.env.insert("BLUEPRINT_RUN".to_owned(), "r".to_owned());
    command
}

/// Whether a program with exactly this command line runs.
fn alive(name: &str) -> bool {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut lines = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.any(|line| line.trim_end_matches('\0').replace('\0', " ") == name)
}

#[tokio::test]
async fn what_a_metered_program_left_behind_is_named_and_dead_when_its_end_is_told() {
    let line = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 71.5";
    let command = Command { metered: true, ..daemon(line, "r/metered") };
    let done = Local.run(command, &Stop::new()).await.unwrap();
    assert!(done.exit.success(), "{}", done.tail(5));
    assert!(!done.left.is_empty() && done.left.iter().all(|stray| !stray.name.is_empty()), "{:?}", done.left);
    assert!(done.usage.cpu.unwrap() >= done.left.iter().map(|stray| stray.cpu).sum(), "{:?}", done.usage);
    assert!(!alive("sleep 71.5"));
}

#[tokio::test]
async fn what_keeps_the_output_of_a_program_open_that_ended_is_named() {
    let keeps = "import os\nr, w = os.pipe()\nif os.fork() == 0:\n os.setsid()\n os.execlp('sleep', 'sleep', '73.5')\n\
         os.close(w)\nos.read(r, 1)\nprint('done')";
    let mut command = shell("exec python3 -c \"$0\"");
    command.args.push(keeps.into());
    for (name, value) in [("BLUEPRINT_LEASE", "r/keeps"), ("BLUEPRINT_RUN", "r")] {
        command.env.insert(name.to_owned(), value.to_owned());
    }
    let done = Local.run(command, &Stop::new()).await.unwrap();
    assert_eq!((done.text().as_str(), done.left.len()), ("done\n", 0));
    assert_eq!(done.held.iter().map(|stray| stray.name.as_str()).collect::<Vec<_>>(), ["sleep 73.5"]);
    let told = "`test` left `sleep 73.5` running, which keeps its output open";
    assert_eq!(done.leak("test").as_deref(), Some(told));
    assert_eq!(Local.settle("r/keeps").await.len(), 1);
    assert_eq!(Local.run(shell("echo done"), &Stop::new()).await.unwrap().held, []);
}

#[tokio::test]
async fn what_ends_soon_after_its_program_is_waited_for_and_not_named() {
    let command = Command { metered: true, ..daemon("sleep 0.02", "r/soon") };
    assert_eq!(Local.run(command, &Stop::new()).await.unwrap().left, []);
}

/// Threads that keep one core busy until this is dropped.
struct Busy(Arc<std::sync::atomic::AtomicBool>);

impl Busy {
    fn on(cpu: usize) -> Self {
        let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        for _ in 0..7 {
            let done = Arc::clone(&done);
            std::thread::spawn(move || {
                let mut only = rustix::thread::CpuSet::new();
                only.set(cpu);
                rustix::thread::sched_setaffinity(None, &only).unwrap();
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(done)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test]
async fn what_waits_for_a_core_is_given_the_time_that_it_waits() {
    // Eight tenths of a second of CPU time, on a core of which it gets a part.
    let line = "while read run rest < /proc/$$/schedstat && [ $run -lt 800000000 ]; do :; done";
    let cpu = 0;
    let busy = Busy::on(cpu);
    let command = Command { cpus: vec![cpu], ..daemon(line, "r/waits") };
    Local.run(command, &Stop::new()).await.unwrap();
    let began = Instant::now();
    let left = Local.settle("r/waits").await;
    drop(busy);
    assert_eq!(left, []);
    assert!(began.elapsed() >= GRACE, "the core was not busy: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_metered_program_takes_as_long_as_what_it_started() {
    let command = Command { metered: true, ..daemon("sleep 0.4", "r/child") };
    let done = Local.run(command, &Stop::new()).await.unwrap();
    assert_eq!(done.left, []);
    assert!(done.wall >= Duration::from_millis(380), "{:?}", done.wall);
}

#[tokio::test]
async fn a_daemon_of_tests_may_serve_them_until_its_lease_is_settled_and_those_of_others_stay() {
    // What another test process may have left is not meant.
    let [own, other] = [72, 73].map(|seconds| format!("sleep {seconds}.{}", std::process::id()));
    for (lease, line) in [("r/own", &own), ("r/other", &other)] {
        assert_eq!(Local.run(daemon(&format!("exec {line}"), lease), &Stop::new()).await.unwrap().left, []);
    }
    for line in [&own, &other] {
        let began = Instant::now();
        while !alive(line) {
            assert!(began.elapsed() < Duration::from_secs(30), "{line} did not begin");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let left = Local.settle("r/own").await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].name, own);
    assert!(!alive(&own) && alive(&other));
    assert_eq!(Local.settle("r/own").await, []);
    assert!(Local.sweep("BLUEPRINT_LEASE", "r/other").await >= 1, "also without its environment");
    assert!(!alive(&other));
}

#[tokio::test]
async fn programs_that_are_measured_run_at_one_priority_and_others_at_the_usual() {
    let told = async |metered| {
        // Its nice value, its real-time priority and its policy.
        let command = Command { metered, ..shell("cut -d' ' -f19,40,41 /proc/self/stat") };
        Local.run(command, &Stop::new()).await.unwrap().text().trim().to_owned()
    };
    let usual = told(false).await;
    assert!(usual.ends_with(" 0 0"), "{usual}");
    match Local.priority() {
        Priority::RealTime => assert_eq!(told(true).await, usual.replace(" 0 0", " 1 2")),
        Priority::Nice(nice) => assert_eq!(told(true).await, format!("{nice} 0 0")),
        Priority::Usual => assert_eq!(told(true).await, usual),
    }
    assert_eq!(told(false).await, usual, "nothing of it sticks to us");
}

#[tokio::test]
async fn waits_are_those_of_all_threads_and_processes_also_behind_a_shell() {
    let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    let command = Command { metered: true, ..shell(&format!("cd . && sh -c '{burn}'; sh -c '{burn}'; true")) };
    let done = Local.run(command, &Stop::new()).await.unwrap();
    let (cpu, told) = (done.usage.cpu.unwrap(), done.usage.told.unwrap());
    assert!(told.as_secs_f64() >= 0.8 * cpu.as_secs_f64(), "{:?}", done.usage);
    assert!(done.usage.waits.is_some());
}

#[tokio::test]
async fn a_sweep_kills_what_left_the_group_by_its_marker() {
    let mut command =
        shell("setsid sleep 77 >/dev/null 2>&1 & until grep -qa ^sleep /proc/$!/cmdline; do sleep 0.01; done");
    command.env.insert("BLUEPRINT_RUN".to_owned(), "sweep-test".to_owned());
    Local.run(command, &Stop::new()).await.unwrap();
    assert_eq!(Local.sweep("BLUEPRINT_RUN", "sweep-test").await, 1);
}
