use headgate_core::platform::Fault;
use headgate_core::platform::Platform;
use headgate_core::table::{Insert, Value};
use serde_json::json;
use std::time::Duration;

use super::super::adapter::world::World;

/// Rows as somebody else puts them in: the id, the command's code and the card.
fn put_in(world: &mut World, rows: &[(&str, &str, &str)]) {
    let shape = world.platform.tables().remove(0);
    let column = |name: &str| shape.columns.iter().find(|column| column.name.as_str() == name).unwrap().clone();
    let columns = ["entry_id", "command", "card_ca_id", "service_ca_id", "state"].map(column);
    let row = |(id, command, card): &(&str, &str, &str)| {
        [id, command, card, &"41", &"NEW"].map(|text| Value::text(*text)).to_vec()
    };
    let rows = rows.iter().map(row).collect();
    let insert = Insert { table: shape.name.clone(), columns: columns.into(), key: 0, rows, again: false };
    world.tables.call(&headgate_core::table::TableCall::Insert(insert)).unwrap();
}

/// Each row's state, code and text, in the order in which they were put in.
fn answers(world: &World) -> Vec<String> {
    let of = |row: &std::collections::BTreeMap<headgate_core::table::Identifier, Value>| {
        ["state", "error_code", "error_text"]
            .map(|name| match row.iter().find(|(column, _)| column.as_str() == name) {
                Some((_, Value::Text(text))) => text.clone(),
                _ => "-".to_owned(),
            })
            .join(" ")
    };
    world.tables.rows(&World::table()).map(of).collect()
}

#[test]
fn rows_are_answered_with_the_profile_s_codes_in_the_order_of_ids() {
    let mut world = World::new(json!({}), &["1"]);
    put_in(
        &mut world,
        &[
            ("b", "REMOVE_SUBSCRIPTION", "1"),
            ("a", "ADD_SUBSCRIPTION", "1"),
            ("c", "DANCE", "1"),
            ("d", "PAIR", "1"),
            ("e", "RECALL", "9"),
        ],
    );
    world.pass(Duration::from_secs(1));
    assert_eq!(
        answers(&world),
        [
            "OK - -",
            "OK - -",
            "ERROR E102 unknown command",
            "ERROR E101 a parameter is missing or can not be read",
            "ERROR E201 unknown smartcard"
        ]
    );
    // The first by its id was put in second: added, then removed.
    assert_eq!(world.services("1"), "");
    assert_eq!(world.platform.holdings().applied, 5);
}

#[test]
fn an_answer_that_could_not_be_written_is_written_later() {
    let mut world = World::new(json!({}), &["1"]);
    put_in(&mut world, &[("a", "ADD_SUBSCRIPTION", "1")]);
    world.platform.inject(Fault::Delay(5_000)).unwrap();
    world.pass(Duration::from_secs(4));
    assert_eq!(answers(&world), ["SENT - -"]);
    world.tables.set_down(true);
    world.pass(Duration::from_secs(60));
    world.tables.set_down(false);
    world.pass(Duration::from_secs(10));
    assert_eq!(answers(&world), ["OK - -"]);
    assert_eq!(world.platform.holdings().applied, 1);
    assert_eq!(world.platform.inject(Fault::CloseInstead), Err(Fault::CloseInstead));
}
