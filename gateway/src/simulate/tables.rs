//! A platform on a table of a database.

use std::io;

use headgate_codecs::registry::Transport;
use headgate_core::platform::Platform;

use super::Simulation;
use crate::drive::connection::{Connection, DatabaseSettings};
use crate::drive::route::Route;
use crate::drive::{Drivers, table};

/// Puts `platform` on a database, with the tables that it works on; they are made unless they are there. SQLite's file
/// is made too.
///
/// # Errors
/// If the settings can not be, or the database does not let us.
pub async fn serve(platform: Box<dyn Platform>, settings: &DatabaseSettings) -> io::Result<Simulation> {
    let connection = Connection { database: Some(settings.clone()), ..Connection::default() };
    let Route::Table(database) = Route::new(Transport::Table, &connection).map_err(io::Error::other)? else {
        return Err(io::Error::other("a table is reached by a database"));
    };
    let database = table::Database { makes_file: true, ..*database };
    let failed = |error: headgate_core::table::TableError| io::Error::other(error.text);
    table::create(&database, &platform.tables()).await.map_err(failed)?;
    Ok(Simulation::start(platform, |messages| Drivers::on_table(database, messages)))
}
