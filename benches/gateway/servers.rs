//! The servers of the benchmark, each a process of its own that ends with the benchmark: the
//! scripted model, our proxy in front of it, and LiteLLM's.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blueprint::adapters::proxy::{LoopbackProxy, Opening, Proxy, Settings, Upstream};
use blueprint::domain::quantity::Tokens;
use blueprint::domain::wire::{Provider, Secret};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::common::model::{Model, Reply};
use crate::purse;

/// How long LiteLLM may take to be ready.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server in a process group of its own. It is stopped when this is dropped.
pub struct Server {
    child: Child,
    /// Its base URL for OpenAI's clients.
    pub base: String,
    /// The key that it wants.
    pub key: String,
}

impl Server {
    /// The scripted model, as this program started once more.
    pub fn model() -> Self {
        Self::of_ours(&["serve-model"])
    }

    /// Our proxy in front of this model.
    pub fn proxy(model: &Self) -> Self {
        Self::of_ours(&["serve-proxy", &model.base, "durable"])
    }

    /// The same with accounts that no disk keeps: what is left is not the disk's.
    pub fn forgetful_proxy(model: &Self) -> Self {
        Self::of_ours(&["serve-proxy", &model.base, "forgetful"])
    }

    fn of_ours(args: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        // It ends when its standard input does, so that it can't outlive us.
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("this program can be started");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(base), Some(key)) = (words.next(), words.next()) else { panic!("{args:?} said {line:?}") };
        Self { child, base, key }
    }

    /// LiteLLM's proxy in front of this model, ready for requests.
    pub fn litellm(venv: &Path, model: &Self, workers: usize, dir: &Path) -> Self {
        let config = dir.join("litellm.yaml");
        // It does not start without a key, nor with one that is easy to guess.
        let random = || std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("random digits");
        let key = format!("sk-{}{}", random(), random()).replace(['-', '\n'], "").replacen("sk", "sk-", 1);
        let text = format!(
            "model_list:\n  - model_name: scripted\n    litellm_params:\n      model: openai/scripted\n      \
             api_base: {}\n      api_key: sk-dummy\nlitellm_settings:\n  telemetry: false\n  num_retries: 0\n\
             general_settings:\n  master_key: {key}\n",
            model.base
        );
        std::fs::write(&config, text).expect("a configuration");
        let log = std::fs::File::create(dir.join("litellm.log")).expect("a log");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("a port").port();
        // Its group ends when our end of its input does, so that it can't outlive us either.
        let mut command = Command::new("sh");
        command
            .args(["-c", "\"$@\" </dev/null & cat >/dev/null; kill 0", "litellm"])
            .arg(venv.join("bin/litellm"))
            .arg("--config")
            .arg(&config)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--num_workers", &workers.to_string()])
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", venv.join("bin").display()))
            .env("HOME", dir)
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .env("LITELLM_MODE", "PRODUCTION")
            .env("LITELLM_LOG", "ERROR")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .current_dir(dir)
            .process_group(0);
        let child = command.spawn().expect("LiteLLM can be started");
        let mut server = Self { child, base: format!("http://127.0.0.1:{port}/v1"), key };
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.child.try_wait().expect("a child");
            let said = || std::fs::read_to_string(dir.join("litellm.log")).unwrap_or_default();
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "LiteLLM does not start ({ended:?}): {}", said());
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    /// Its resident memory, in MB.
    pub fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()).and_then(|n| n.parse::<f64>().ok());
        kib.expect("a process that runs") * 1024.0 / 1e6
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        let _ = kill_process_group(group, Signal::TERM);
        let asked = Instant::now();
        while self.child.try_wait().expect("a child").is_none() && asked.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Workers too, and whoever did not listen.
        let _ = kill_process_group(group, Signal::KILL);
        drop(self.child.wait());
    }
}

/// What the processes of this program do, told by their arguments; `false` where it is none of them.
pub fn serve(args: &[String]) -> bool {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve-model"] => serve_model(),
        ["serve-proxy", upstream, accounts] => serve_proxy(upstream, accounts == "durable"),
        _ => return false,
    }
    true
}

/// Two words of text at once, or twenty with 2 ms between them where a stream is asked for.
fn serve_model() {
    let model = Model::listen(0, false, |call| {
        if call.stream { Reply::words(20).pace(Duration::from_millis(2)) } else { Reply::text("all right") }
    });
    let model = model.expect("a free port of loopback");
    println!("{}/v1 sk-dummy", model.url());
    wait_for_the_end();
}

fn serve_proxy(upstream: &str, durable: bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let upstream =
            Upstream { url: upstream.to_owned(), key: Some(Secret::new("sk-dummy")), default_output: Tokens(4096) };
        let settings = Settings { upstreams: vec![(Provider::OpenAi, upstream)], models: vec!["scripted".to_owned()] };
        let proxy = LoopbackProxy::start(settings).await.expect("a proxy");
        let opening = Opening {
            trial: "a".to_owned(),
            purse: purse(durable.then_some(dir.path())).await,
            transcript: dir.path().join("transcript.jsonl"),
            time: None,
        };
        let door = proxy.open(opening).await.expect("a door");
        println!("{} {}", door.access().base(Provider::OpenAi), door.access().key.expose());
        tokio::task::spawn_blocking(wait_for_the_end).await.expect("a thread");
        door.close().await;
    });
}

/// Until whoever started us is gone or wants us gone.
fn wait_for_the_end() {
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
}

/// Where LiteLLM is installed: what the script says. Installs it where it is missing.
pub fn litellm() -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lib/litellm");
    let done = Command::new(script).stderr(Stdio::inherit()).output().expect("the script can be started");
    done.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&done.stdout).trim()))
}
