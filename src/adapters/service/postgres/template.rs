//! The data directory that private servers are cloned from: built once per version and seed.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::Connection;

use super::CONNECT_LIMIT;
use super::cluster::{self, ADMIN, BUILDING, End, Running};
use super::programs::{Programs, server_user};
use crate::adapters::process::Executor;
use crate::adapters::service::ServiceError;
use crate::adapters::service::place::{self, blocking, failed, give};
use crate::adapters::service::seed::Seed;
use crate::adapters::service::shelf::{self, Held};
use crate::adapters::sql::postgres;
use crate::adapters::sql::url::Login;

/// The application's role and database in every private server.
pub(super) const APPLICATION: &str = "blueprint";

/// A finished template, which stays while this lives.
pub struct Template {
    /// To be copied.
    pub data: PathBuf,
    /// The superuser's password in it and in its copies.
    pub password: String,
    _held: Held,
}

/// Finds the template of this version and seed in `home/templates`, or builds it.
pub(super) async fn find_or_build(
    exec: &Arc<dyn Executor>,
    programs: &Programs,
    seed: &Seed,
    home: &Path,
) -> Result<Template, ServiceError> {
    let digest = seed.digest(&programs.version);
    let templates = home.join("templates");
    place::make(&templates, directory_mode())?;
    let done = templates.join(&digest);
    let building = shelf::building(&done);
    let build = async || {
        let built = build(exec, programs, seed, &building).await;
        if built.is_err() {
            discard(exec, &building).await?;
        }
        built?;
        fs::rename(&building, &done).map_err(|why| failed(format!("keeping {}", done.display()), &why))
    };
    let held = shelf::hold(&done, build).await?;
    let secret = done.join("secret");
    let password = fs::read_to_string(&secret).map_err(|why| failed(format!("reading {}", secret.display()), &why))?;
    Ok(Template { data: done.join("data"), password, _held: held })
}

/// Removes what killed builders left.
pub async fn tidy(exec: &Arc<dyn Executor>, home: &Path) -> Result<(), ServiceError> {
    for (building, _lock) in shelf::abandoned(&home.join("templates"))? {
        discard(exec, &building).await?;
        shelf::clear(&building)?;
    }
    Ok(())
}

/// Removes the templates that nobody holds; their directories.
pub async fn forget(exec: &Arc<dyn Executor>, home: &Path) -> Result<Vec<String>, ServiceError> {
    let mut removed = Vec::new();
    for (template, _lock) in shelf::unused(&home.join("templates"))? {
        discard(exec, &template).await?;
        shelf::clear(&template)?;
        removed.push(template.display().to_string());
    }
    Ok(removed)
}

/// Directories on the way to what a server's user owns can be walked through and not listed.
pub(super) fn directory_mode() -> u32 {
    if server_user().is_some() { 0o711 } else { 0o700 }
}

async fn discard(exec: &Arc<dyn Executor>, building: &Path) -> Result<(), ServiceError> {
    cluster::stop(exec, &building.join("data"), End::Immediate).await?;
    cluster::remove_sockets(&cluster::socket_directory(&building.display().to_string()))?;
    let dir = building.to_owned();
    blocking(format!("removing {}", building.display()), move || place::remove(&dir)).await
}

async fn build(
    exec: &Arc<dyn Executor>,
    programs: &Programs,
    seed: &Seed,
    building: &Path,
) -> Result<(), ServiceError> {
    // What a killed builder left is in nobody's use: the lock is ours.
    discard(exec, building).await?;
    place::make(building, directory_mode())?;
    let password = place::password()?;
    let data = building.join("data");
    initialise(exec, programs, &data, &password).await?;
    let sockets = cluster::socket_directory(&building.display().to_string());
    let (running, admin) = cluster::start(exec, programs, &data, &sockets, BUILDING, &password).await?;
    let filled = fill(&running, admin, seed).await;
    filled?;
    cluster::stop(exec, &data, End::Clean).await?;
    drop(running);
    cluster::remove_sockets(&sockets)?;
    let dir = building.to_owned();
    blocking(format!("syncing {}", building.display()), move || {
        let file = fs::File::open(&dir)?;
        Ok(rustix::fs::syncfs(&file)?)
    })
    .await?;
    place::write_private(&building.join("secret"), &password, None)
}

/// `initdb` with a password for everybody: a neighbour who finds the socket gets no further.
async fn initialise(
    exec: &Arc<dyn Executor>,
    programs: &Programs,
    data: &Path,
    password: &str,
) -> Result<(), ServiceError> {
    let made = fs::DirBuilder::new().mode(0o700).create(data).and_then(|()| give(data, server_user()));
    made.map_err(|why| failed(format!("making {}", data.display()), &why))?;
    let told = data.with_file_name("password");
    place::write_private(&told, password, server_user())?;
    let args = ["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1"];
    let named = [format!("--username={ADMIN}"), format!("--pwfile={}", told.display()), data.display().to_string()];
    let args = args.map(str::to_owned).into_iter().chain(named).collect();
    let done = programs.run(exec, "initdb", args).await;
    fs::remove_file(&told).map_err(|why| failed(format!("removing {}", told.display()), &why))?;
    done.map(drop)
}

/// Runs the seed as the application's role, so that it owns what the seed makes, and leaves the
/// tables as a server that has run for a while has them: vacuumed, with statistics. A vacuum that
/// starts by itself in the middle of a measurement would fall on one variant and not on another.
async fn fill(running: &Running, mut admin: sqlx::PgConnection, seed: &Seed) -> Result<(), ServiceError> {
    let failed = |why: sqlx::Error| ServiceError::Failed {
        what: "preparing the template".to_owned(),
        why: postgres::said(&why),
    };
    let password = place::password()?;
    postgres::execute(&mut admin, postgres::create_application(APPLICATION, &password)).await.map_err(failed)?;
    postgres::execute(&mut admin, postgres::create_owned_database(APPLICATION, APPLICATION)).await.map_err(failed)?;
    let login = Login { user: APPLICATION, password: &password, database: APPLICATION, search_path: None };
    let options = running.server.options_for(&login);
    for script in seed.scripts() {
        // A session for each file: what one sets does not reach the next.
        let mut session = postgres::connect(&options, CONNECT_LIMIT).await.map_err(failed)?;
        postgres::run_script(&mut session, script.text).await.map_err(|why| script.failed(&why))?;
        session.close().await.map_err(failed)?;
    }
    let mut session = postgres::connect(&options, CONNECT_LIMIT).await.map_err(failed)?;
    postgres::execute(&mut session, postgres::SETTLE.to_owned()).await.map_err(failed)?;
    session.close().await.map_err(failed)?;
    admin.close().await.map_err(failed)
}
