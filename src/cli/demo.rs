//! `demo`: the whole loop on a small sample project, with nothing to install or configure.

use std::path::{Path, PathBuf};

use super::{Context, Outcome, run};
use crate::adapters::executor::local::Local;
use crate::adapters::process::{Command, Environment, Executor, Stop};
use crate::demo;
use crate::error::{Error, ExitCode, Result};
use crate::project;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint demo ../blueprint-demo")]
pub struct Args {
    /// Where the sample project is written; a new directory.
    #[arg(value_name = "DIR", default_value = "blueprint-demo")]
    into: PathBuf,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let root = context.directory.join(&args.into);
    needs("python3", "the sample project is written in Python: install Python 3.9 or newer").await?;
    needs("git", "install git 2.36 or newer").await?;
    write(&root)?;
    commit(&root).await?;
    let shown = args.into.display();
    context.out.note(&format!("wrote a sample project into {shown}: a listing of 200,000 users that is too slow,"));
    context.out.note(&format!("and {} with three recorded ways to speed it up\n\n", demo::DOCUMENT));
    let inner = Context { out: context.out.clone(), log: context.log.clone(), directory: root };
    let code = run::one(Path::new(demo::DOCUMENT), &inner).await?;
    if code == ExitCode::Done {
        let program = callable();
        context.out.print(&format!(
            "\nTry next:\n  cd {shown}\n  git show -m --first-parent   # what landed, and the document's Results\n  \
             {program} report   # every variant's tests, metrics and points\n  \
             {program} plan {}   # what a run does\n",
            demo::DOCUMENT
        ));
    }
    Ok(code)
}

/// How this program is called from any directory: by its name where that is installed, else by its path.
fn callable() -> String {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_known = std::env::split_paths(&folders).any(|folder| folder.join("blueprint").is_file());
    match std::env::current_exe() {
        Ok(own) if !is_known => shell_words::quote(&own.display().to_string()).into_owned(),
        _ => "blueprint".to_owned(),
    }
}

/// A program that must be there.
async fn needs(program: &str, hint: &str) -> Result<()> {
    let done = Local.run(command(program, &["--version"], Path::new("/")), &Stop::new()).await;
    match done {
        Ok(finished) if finished.exit.success() => Ok(()),
        _ => Err(Error::machine(format!("`{program}` was not found or does not run")).hint(hint)),
    }
}

fn command(program: &str, args: &[&str], dir: &Path) -> Command {
    let known = ["PATH", "HOME", "LANG", "PYENV_ROOT"];
    let env: Environment = project::variables().into_iter().filter(|(n, _)| known.contains(&n.as_str())).collect();
    Command::new(program, args.iter().copied(), dir).env(&env)
}

fn write(root: &Path) -> Result<()> {
    let taken = std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    if taken || root.is_file() {
        return Err(Error::usage(format!("{} already exists", root.display()))
            .hint("name another directory: blueprint demo DIR"));
    }
    for (name, text) in demo::files() {
        let path = root.join(name);
        let folder = path.parent().unwrap_or(root);
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::machine(format!("{} can't be made: {error}", folder.display())))?;
        project::write(&path, text.as_bytes())?;
    }
    Ok(())
}

async fn commit(root: &Path) -> Result<()> {
    let identity = ["-c", "user.name=Blueprint demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false"];
    let steps: [&[&str]; 3] = [
        &["init", "--quiet", "--initial-branch=main"],
        &["add", "--all"],
        &["commit", "--quiet", "--message", "A listing of users that is too slow"],
    ];
    for step in steps {
        let args: Vec<&str> = identity.iter().chain(step).copied().collect();
        let done =
            Local.run(command("git", &args, root), &Stop::new()).await.map_err(crate::engine::trouble::machine)?;
        if !done.exit.success() {
            let said = done.tail(4);
            return Err(Error::machine(format!("git {} failed in {}: {said}", step[0], root.display())));
        }
    }
    Ok(())
}
