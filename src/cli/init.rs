//! `init` and `new`: files to start from.

use std::path::{Path, PathBuf};

use super::{Context, Outcome};
use crate::compose::starter;
use crate::config;
use crate::domain::detect::detect;
use crate::error::{Error, ExitCode, Result};
use crate::project::{self, CONFIGURATION, files};
use crate::ui::{self, Missing};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint init")]
pub struct Args {}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint new \"Faster user listing\"")]
pub struct NewArgs {
    /// What is to change, in a few words.
    #[arg(value_name = "TITLE")]
    title: String,
}

pub async fn main(_args: &Args, context: &Context) -> Outcome {
    let project = context.project().await?;
    let found = detect(&files::listing(project.git_root()));
    create(&project.git_root().join(CONFIGURATION), &config::starter(&found), CONFIGURATION)?;
    context.out.print(&format!("wrote {CONFIGURATION}\n{}", ui::found(&found)));
    context.out.note("read it, commit it, then: blueprint new \"What is to change\"\n");
    Ok(ExitCode::Done)
}

pub async fn new(args: &NewArgs, context: &Context) -> Outcome {
    let project = context.project().await?;
    let title = args.title.split_whitespace().collect::<Vec<_>>().join(" ");
    let slug = slug(&title);
    if slug.is_empty() {
        return Err(Error::usage(format!("`{title}` has no letter or digit to name a file by")).into());
    }
    let found = detect(&files::listing(project.git_root()));
    let now = jiff::Timestamp::now();
    let id = format!("{}_{slug}", now.strftime("%Y-%m-%dT%H:%M:%SZ"));
    let moment = now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let text = starter::document(&title, &id, &moment, &found, &project.config);
    let name = format!("docs/blueprints/{}_{slug}.md", now.strftime("%Y-%m-%d"));
    create(&project.git_root().join(&name), &text, &name)?;
    context.out.print(&format!("wrote {name}\n"));
    let missing = Missing {
        tests: starter::tests(&found, &project.config).is_empty(),
        metrics: project.config.metrics.is_empty(),
        configuration: !project.configured,
    };
    context.out.note(&ui::started(&text, &missing));
    context.out.note(&format!("fill it in, then: blueprint check {name}\n"));
    Ok(ExitCode::Done)
}

/// Writes a file that must not be there yet.
fn create(path: &Path, text: &str, shown: &str) -> Result<()> {
    if path.exists() {
        return Err(Error::usage(format!("{shown} already exists")));
    }
    let folder: PathBuf = path.parent().map(Path::to_owned).unwrap_or_default();
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::machine(format!("{} can't be made: {error}", folder.display())))?;
    project::write(path, text.as_bytes())
}

/// Lower-case words joined by `-`, at most 40 bytes.
fn slug(title: &str) -> String {
    let words = title.to_lowercase();
    let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let mut slug = String::new();
    for word in words {
        if slug.len() + word.len() + 1 > 40 {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(word);
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn a_slug_is_made_of_whole_words_and_is_short() {
        assert_eq!(slug("Make `list_users` 8× faster!"), "make-list-users-8-faster");
        assert_eq!(slug(&"word ".repeat(20)), "word-word-word-word-word-word-word-word");
        assert_eq!(slug("…"), "");
    }
}
