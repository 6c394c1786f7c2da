use super::*;

fn error(change: impl FnOnce(String) -> String) -> String {
    Profile::from_toml(&change(SHIPPED.to_owned())).unwrap_err().to_string()
}

/// What is told if `from` is replaced by `to` in the shipped profile.
fn changed(from: &str, to: &str) -> String {
    assert!(SHIPPED.contains(from), "{from}");
    error(|text| text.replacen(from, to, 1))
}

#[test]
fn the_shipped_profile_is_right() {
    let profile = Profile::shipped().unwrap();
    assert_eq!(profile.commands().count(), CommandName::ALL.len());
    assert_eq!(profile.written[0], profile.key.column);
    assert_eq!(profile.shape().columns.len(), 19);
    assert!(profile.code_named("unknown_card").is_some());
}

#[test]
fn a_mistake_is_refused_with_its_place() {
    for (from, to, told) in [
        (
            "service = \"service_ca_id\"",
            "service = \"service_id\"",
            "profile.parameters.columns.service: service_id is none of profile.columns",
        ),
        (
            "service = \"service_ca_id\"",
            "servis = \"service_ca_id\"",
            "profile.parameters.columns.servis: is no parameter; known: subscription",
        ),
        (
            "service = \"service_ca_id\"",
            "service = \"command\"",
            "profile.parameters.columns.service: the column command has something else",
        ),
        ("table = \"tqueue\" ", "table = \"t queue\" ", "profile.table: must be 1 to 63 of the characters"),
        ("table = \"tqueue\" ", "tabel = \"tqueue\" ", "profile.tabel: unknown field"),
        ("strategy = \"uuid\"", "strategy = \"random\"", "profile.id.strategy: unknown variant"),
        ("strategy = \"uuid\"", "strategy = \"database\"", "profile.id.own: missing"),
        ("strategy = \"uuid\"", "strategy = \"uuid\"\nown = \"command\"", "profile.id.own: is only for"),
        ("strategy = \"uuid\"", "strategy = \"uuid\"\nprefix = \"A\"", "profile.id.prefix: only numbers"),
        ("max = 36", "max = 35", "profile.id.column: our ids have 36 characters"),
        ("max = 36", "max = 0", "profile.columns.entry_id.max: must be 1 to"),
        (
            "seconds = { type = \"integer\" }",
            "seconds = { type = \"integer\", max = 4 }",
            "profile.columns.seconds.max: a column of type integer",
        ),
        (
            "seconds = { type = \"integer\" }",
            "seconds = { type = \"number\" }",
            "profile.columns.seconds.type: unknown variant",
        ),
        ("[roles]", "spare = { type = \"text\" }\n[roles]", "profile.columns.spare: nothing says what stands in it"),
        ("unprocessed = \"NEW\"", "unprocessed = 0", "profile.state.unprocessed: must be of type text"),
        ("done = [\"OK\"]", "done = [\"NEW\"]", "profile.state.done[0]: this literal already means another"),
        ("done = [\"OK\"]", "done = []", "profile.state.done: give at least one"),
        (
            "created = \"created_at\"",
            "created = \"message\"",
            "profile.roles.created: the column message is of type text; it must be timestamp",
        ),
        ("[commands.recall]", "[commands.call_back]", "profile.commands.call_back: is no command"),
        ("code = \"RECALL\" ", "code = \"PAIR\" ", "profile.commands.recall.code: is already the code of pair"),
        ("code = \"RECALL\" ", "code = 7 ", "profile.commands.recall.code: must be of type text"),
        (
            "parameters = [\"subscription\", \"card\", \"stb\"]",
            "parameters = [\"subscription\", \"card\"]",
            "profile.commands.pair.parameters: must have stb",
        ),
        (
            "parameters = [\"subscription\", \"card\", \"stb\"]",
            "parameters = [\"pin\", \"card\", \"stb\"]",
            "profile.commands.pair.parameters[0]: \"pin\" has no value here",
        ),
        (
            "parameters = [\"subscription\", \"card\", \"stb\"]",
            "parameters = [\"card\", \"card\", \"stb\"]",
            "profile.commands.pair.parameters[1]: card stands here twice",
        ),
        (
            "parameters = [\"subscription\", \"card\", \"stb\"]",
            "parameters = [\"entry_id\", \"card\", \"stb\"]",
            "profile.commands.pair.parameters[0]: the entry's id has its own",
        ),
        ("stb = \"stb_id\"\n", "", "profile.commands.pair.parameters[2]: stb has no column"),
        ("encoding = \"columns\"", "encoding = \"delimited\"", "profile.parameters.columns: only the encoding"),
        (
            "encoding = \"columns\"",
            "encoding = \"columns\"\ndelimiter = \"|\"",
            "profile.parameters.delimiter: only the encoding",
        ),
        ("code = \"E120\"", "code = \"E101\"", "profile.codes.throttled.code: is already the code of malformed"),
        ("error_code = \"error_code\" ", "#", "code: can not be read"),
    ] {
        let text = changed(from, to);
        assert!(text.contains(told), "{to}: {text}");
    }
}

#[test]
fn the_database_may_make_the_ids() {
    let text = SHIPPED
        .replace(
            "entry_id = { type = \"text\", max = 36 }",
            "entry_id = { type = \"integer\" }\nours = { type = \"text\" }",
        )
        .replace("strategy = \"uuid\"", "strategy = \"database\"\nown = \"ours\"");
    let profile = Profile::from_toml(&text).unwrap();
    let shape = profile.shape();
    assert_eq!((profile.key.column.name.as_str(), profile.order.name.as_str()), ("ours", "entry_id"));
    assert!(shape.generated && !profile.written.contains(&profile.order));
    assert_eq!(shape.columns[shape.unique[0]], profile.key.column);
}
