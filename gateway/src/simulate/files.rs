//! A platform on a directory of this machine.

use std::io;
use std::path::Path;

use headgate_core::platform::Platform;

use super::Simulation;
use crate::drive::Drivers;
use crate::drive::file::local::LocalDirectory;

/// Puts `platform` on the directory `home`, with the directories that it works on.
///
/// # Errors
/// What the system says if a directory can not be made.
pub async fn serve(platform: Box<dyn Platform>, home: &Path) -> io::Result<Simulation> {
    tokio::fs::create_dir_all(home).await?;
    for directory in platform.directories() {
        tokio::fs::create_dir_all(home.join(directory)).await?;
    }
    let local = LocalDirectory::making_directories(home.to_owned());
    Ok(Simulation::start(platform, |messages| Drivers::on_directory(local, messages)))
}
