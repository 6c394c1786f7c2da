use proptest::prelude::*;

use super::super::fuzzing;
use super::*;

#[test]
fn the_shipped_profile_keeps_what_is_sourced() {
    let profile = Profile::shipped().unwrap();
    let header: Vec<_> = profile.header.iter().map(|field| (field.name, field.kind.clone())).collect();
    let number = |width| Kind::Number { width };
    assert_eq!(
        header[..4],
        [
            (FieldName::TransactionNumber, number(9)),
            (FieldName::CommandType, number(2)),
            (FieldName::SourceId, number(4)),
            (FieldName::DestId, number(4)),
        ]
    );
    assert_eq!((header[4].0, header[5].0), (FieldName::MopPpid, FieldName::CreationDate));
    for (number, name) in [
        (2, CommandName::AddProduct),
        (4, CommandName::SuspendProduct),
        (5, CommandName::ReactivateProduct),
        (6, CommandName::CancelProduct),
        (7, CommandName::CancelAll),
        (1002, CommandName::ConnectionTest),
    ] {
        assert_eq!(profile.form(number), Some(Form::Command(name)));
    }
    assert_eq!(profile.command_type, 5);
}

/// Replaces `from`, which must be there, in the shipped profile; returns the error's path and text.
fn mistake(from: &str, to: &str) -> (String, String) {
    assert!(SHIPPED.contains(from), "{from:?} is not in the shipped profile");
    let error = Profile::from_toml(&SHIPPED.replacen(from, to, 1)).expect_err(to);
    (error.path, error.text)
}

#[test]
fn mistakes_are_told_with_their_path() {
    for (from, to, path) in [
        ("charset = \"utf8\"", "charset = \"ebcdic\"", "profile.charset"),
        ("width = 2\nlimit", "limit", "profile.framing.width"),
        ("width = 2\nlimit", "width = 5\nlimit", "profile.framing.width"),
        ("width = 2\nlimit", "width = 2\ndelimiter = \"0a\"\nlimit", "profile.framing.delimiter"),
        ("kind = \"binary_length\"\nwidth = 2", "kind = \"delimiter\"", "profile.framing.delimiter"),
        ("kind = \"binary_length\"\nwidth = 2", "kind = \"delimiter\"\ndelimiter = \"0\"", "profile.framing.delimiter"),
        ("kind = \"binary_length\"", "kind = \"delimiter\"", "profile.framing.width"),
        ("limit = 8192", "limit = 3", "profile.framing.limit"),
        ("limit = 8192", "limit = 8192\nspeed = 1", "profile.framing.speed"),
        ("field = \"command_type\"", "field = \"commando\"", "profile.header[1].field"),
        ("field = \"command_type\"", "field = \"source_id\"", "profile.header[2].field"),
        ("field = \"command_type\"", "field = \"card\"", "profile.header[1].field"),
        (
            "field = \"transaction_number\"\nkind = \"number\"\nwidth = 9",
            "field = \"literal\"\nkind = \"literal\"\ntext = \"A\"",
            "profile.header",
        ),
        ("kind = \"number\"\nwidth = 9", "kind = \"number\"\nwidth = 0", "profile.header[0].width"),
        ("kind = \"number\"\nwidth = 9", "kind = \"number\"\nwidth = 19", "profile.header[0].width"),
        ("kind = \"number\"\nwidth = 9", "kind = \"number\"", "profile.header[0].width"),
        ("kind = \"number\"\nwidth = 9", "kind = \"text\"\nwidth = 9", "profile.header[0].kind"),
        ("field = \"command_number\"", "field = \"duration\"", "profile.section[0].field"),
        ("command_type = 5 ", "command_type = 500 ", "profile.ack.command_type"),
        ("[commands.add_product]", "[commands.ad_product]", "profile.commands.ad_product"),
        ("number = \"0004\"", "number = \"0002\"", "profile.commands.suspend_product.number"),
        ("number = \"0004\"", "number = \"9000\"", "profile.commands.suspend_product.number"),
        ("number = \"0004\"", "number = \"12345\"", "profile.commands.suspend_product.number"),
        ("number = \"0004\"", "number = \"four\"", "profile.commands.suspend_product.number"),
        ("number = \"9001\"", "number = \"9000\"", "profile.nack.number"),
        (
            "{ field = \"reason\", kind = \"number\", width = 2 }",
            "{ field = \"pin\", kind = \"number\", width = 2 }",
            "profile.commands.disable_card.body[1].field",
        ),
        (
            "{ field = \"pin\", kind = \"text\", width = 4, only = \"digits\" }",
            "{ field = \"pin\", kind = \"date\" }",
            "profile.commands.set_pin.body[1].kind",
        ),
        (
            "  { field = \"pin\", kind = \"text\", width = 4, only = \"digits\" },\n",
            "",
            "profile.commands.set_pin.body",
        ),
        ("width = 3, max = 100", "width = 3, max = 1000", "profile.commands.add_products.body[3].max"),
        (
            "{ field = \"show_date\", kind = \"date\" }",
            "{ field = \"show_date\", kind = \"date\", width = 8 }",
            "profile.commands.mail.body[1].width",
        ),
        ("  { field = \"code\", kind = \"number\", width = 4 },\n", "", "profile.nack.body"),
        (
            "body = [{ field = \"answered_command\", kind = \"number\", width = 4 }]",
            "body = []",
            "profile.commands.held_pairing.answer",
        ),
        ("number = \"0102\"", "number = \"0101\"", "profile.codes.unknown_command.number"),
        ("kind = \"session_lost\"", "kind = \"session_lost\", pause = \"1s\"", "profile.codes.not_logged_in.pause"),
        ("pause = \"2s\"", "pause = \"2d\"", "profile.codes.throttled.pause"),
        ("damaged = 1", "damaged = 1\nbroken = 4", "profile.reasons.broken"),
        ("name = \"headgate", "nome = \"headgate", "profile.nome"),
    ] {
        let (found, text) = mistake(from, to);
        assert_eq!(found, path, "{to:?} gave: {text}");
        assert!(!text.is_empty());
    }
}

#[test]
fn a_profile_needs_only_what_is_asked_of_it() {
    let small = r#"
        name = "small"
        charset = "ascii"
        command_type = 1
        framing = { kind = "decimal_length", width = 4, counts_itself = true, limit = 500 }
        header = [{ field = "literal", kind = "literal", text = "N1" }, { field = "transaction_number", kind = "number", width = 6 }]
        section = [{ field = "command_number", kind = "number", width = 3 }]
        ack = { number = "100" }
        nack = { number = "101", body = [{ field = "code", kind = "number", width = 2 }] }
        commands.connection_test = { number = "001" }
    "#;
    let profile = Profile::from_toml(small).unwrap();
    assert_eq!(profile.highest_transaction, 999_999);
    let capabilities = super::super::capabilities::capabilities(&profile);
    let names: Vec<_> = capabilities.commands.keys().map(|kind| kind.name()).collect();
    assert_eq!(names, ["test_connection", "raw"]);
}

#[test]
fn an_operator_profile_comes_through_the_settings() {
    let profile: serde_json::Value = toml::from_str(SHIPPED).unwrap();
    let mut settings = serde_json::json!({ "profile": profile });
    super::super::settings::Checked::read(&settings).unwrap();
    settings["profile"]["commands"]["pair"]["number"] = "0002".into();
    let error = super::super::settings::Checked::read(&settings).unwrap_err();
    assert_eq!(error.path, "profile.commands.pair.number");
}

proptest! {
    #[test]
    fn damaged_profiles_never_panic(line in 0..300_usize, what in 0..4_u8, text in "[ -~]{0,12}") {
        let mut lines: Vec<_> = SHIPPED.lines().map(str::to_owned).collect();
        let line = line % lines.len();
        match what {
            0 => { lines.remove(line); }
            1 => lines[line] = text,
            2 => lines[line].push_str(&text),
            _ => lines[line] = lines[line].replace(['1', '2', '4', '9'], "0"),
        }
        fuzzing::profile_never_panics(&lines.join("\n"));
    }
}
