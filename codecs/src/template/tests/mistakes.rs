//! A mistake in a profile is told with its place.

use super::profile;

fn mistake(toml: &str) -> (String, String) {
    let error = profile(toml).expect_err(toml);
    (error.path, error.text)
}

/// A profile with one operation, `pair`, with these lines.
fn pair(lines: &str) -> (String, String) {
    mistake(&format!("[operations.pair]\npath = '/p'\nsmartcards = 1\nstbs = 1\n{lines}"))
}

#[test]
fn placeholders_are_checked_against_the_command() {
    let at = |lines| {
        let (path, text) = pair(lines);
        (path, text)
    };
    let (path, text) = at("json = { a = { b = ['x', '{pin}'] } }");
    assert_eq!(path, "profile.operations.pair.json.a.b[1]");
    assert_eq!(text, "column 1: {pin}: pair has no pin");
    let (path, text) = at("path2 = 1");
    assert_eq!(path, "profile.operations.pair.path2");
    assert!(text.contains("unknown field"), "{text}");
    let (_, text) = at("json = { a = '{smart_card}' }");
    assert!(text.contains("there is no value \"smart_card\""), "{text}");
    let (path, text) = at("form = [['a', 'x{smartcard|pad:0:0}']]");
    assert_eq!(path, "profile.operations.pair.form[0][1]");
    assert_eq!(text, "column 2: {smartcard|pad:0:0}: \"0\" is not a number from 1 to 10000");
    let (_, text) = at("form = [['a', '{smartcard|epoch}']]");
    assert!(text.ends_with("|epoch: it is for a time, and this is a text"), "{text}");
    let (_, text) = at("form = [['a', 'b {smartcard']]");
    assert_eq!(text, "column 3: `{` without its `}`; write `{{` for a brace");
    let (_, text) = at("form = [['a', 'b} {smartcard}']]");
    assert_eq!(text, "column 2: `}` without its `{`; write `}}` for a brace");
    let (_, text) = at("form = [['a', '{vars.nowhere}']]");
    assert!(text.contains("the settings have no vars.nowhere"), "{text}");
    let (_, text) = at("form = [['a', '{session}']]");
    assert!(text.contains("there is no session"), "{text}");
    let (_, text) = at("form = [['a', '{kept.id}']]");
    assert!(text.contains("no operation before this one keeps id"), "{text}");
    let (_, text) = at("form = [['a', 'x{smartcards}']]");
    assert!(text.contains("is a list and stands within a text"), "{text}");
    let (_, text) = at("form = [['a', '{now|date:%Q%%%}']]");
    assert!(text.contains("is no date format"), "{text}");
}

#[test]
fn places_in_long_bodies_have_lines_and_columns() {
    let (path, text) = pair("json = '''\n{\n  \"a\": 1,\n  \"b\": \"x {nothing}\"\n}'''");
    assert_eq!(path, "profile.operations.pair.json");
    assert!(text.starts_with("line 3, column 11: {nothing}: there is no value"), "{text}");
    let (_, text) = pair("json = '''\n{\n  \"a\": 1,,\n}'''");
    assert!(text.starts_with("line 2, column 10: "), "{text}");
    let (path, text) = pair("xml = '''\n<a>\n  <b>{nothing}</b>\n</a>'''");
    assert_eq!(path, "profile.operations.pair.xml");
    assert!(text.starts_with("line 2, column 3: <b>: {nothing}: there is no value"), "{text}");
    let (_, text) = pair("xml = '''\n<a>\n  <b></c>\n</a>'''");
    assert!(text.starts_with("line 2, "), "{text}");
    let (_, text) = pair("xml = '<a><!DOCTYPE x></a>'");
    assert!(text.contains("DOCTYPE"), "{text}");
}

#[test]
fn one_of_several_must_be_said() {
    let several =
        |lines: &str| mistake(&format!("[operations.add_device]\npath = '/p'\nsmartcards = [1, 10]\n{lines}"));
    let (_, text) = several("form = [['a', '{smartcard}']]");
    assert!(text.contains("there can be several smartcards"), "{text}");
    let (path, text) = several("for_each = ['service']");
    assert_eq!(path, "profile.operations.add_device.for_each");
    assert!(text.contains("takes no services"), "{text}");
    let (path, _) = several("smartcards_per_call = 0");
    assert_eq!(path, "profile.operations.add_device.smartcards_per_call");
    let toml = "[operations.add_device]\npath = '/p'\nsmartcards = [1, 10]\nfor_each = ['smartcard']\njson = { a = '{smartcard}' }";
    assert!(profile(toml).is_ok());
    let toml = "[operations.add_device]\npath = '/p'\nsmartcards = [1, 10]\njson = { a = [{ '@each' = 'smartcards', b = '{smartcard}' }] }";
    assert!(profile(toml).is_ok());
}

#[test]
fn operations_must_be_reached_and_end() {
    assert!(mistake("[operations.odd]\npath = '/p'").1.contains("nothing leads to this operation"));
    let (path, text) = mistake("[operations.odd]\ncommand = 'remove_subscriber'\npath = '/p'\nthen = 'other'");
    assert_eq!(
        (path.as_str(), text.as_str()),
        ("profile.operations.odd.then", "there is no operation \"other\"; there are odd")
    );
    let (_, text) = mistake("[operations.odd]\ncommand = 'remove_subscriber'\npath = '/p'\nthen = 'odd'");
    assert!(text.contains("without end"), "{text}");
    let (path, text) = mistake("[operations.remove_subscriber]\npath = '/p'\nmethod = 'GET'\njson = {}");
    assert_eq!(path, "profile.operations.remove_subscriber.method");
    assert!(text.contains("GET carries no body"));
    let (path, _) = mistake("[operations.remove_subscriber]\npath = 'p'");
    assert_eq!(path, "profile.operations.remove_subscriber.path");
    let (_, text) = mistake("[operations.remove_subscriber]\npath = '/p?a={account}'");
    assert!(text.contains("put the query into `query`"), "{text}");
    let (_, text) = mistake("[operations.remove_subscriber]\npath = '/p/{account?}'");
    assert!(text.contains("may be absent"), "{text}");
    let (path, _) = mistake("headers = [['X-Upper', 'a']]\n[operations.remove_subscriber]\npath = '/p'");
    assert_eq!(path, "profile.headers[0][0]");
    let (path, _) = mistake("[operations.remove_subscriber]\npath = '/p'\nsign = { by = 'magic' }");
    assert_eq!(path, "profile.operations.remove_subscriber.sign");
    let (path, _) =
        mistake("[operations.remove_subscriber]\npath = '/p'\n[errors.'7']\nmeaning = 'rejected'\nafter = '1s'");
    assert_eq!(path, "profile.errors.7.after");
    let (path, _) = mistake("[operations.remove_subscriber]\npath = '/p'\n[answer]\nsuccess = { at = 'a//b' }");
    assert_eq!(path, "profile.answer.success.at");
    let (path, _) = mistake("[operations.remove_subscriber]\npath = '/p'\nwhen = { reason = 'lost' }");
    assert_eq!(path, "profile.operations.remove_subscriber.when.reason");
    let (path, _) = mistake("[operations.send_message]\npath = '/p'");
    assert_eq!(path, "profile.messages");
    let (path, text) = mistake("[operations.pair\n");
    assert_eq!(path, "profile");
    assert!(text.contains("line 1"), "{text}");
}
