//! Reads the configuration file: TOML, `${ENV}` and `file:` values, and every mistake in one go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::document::{Content, Document, Entry, Node, join};
use super::problem::{Problem, Problems, Severity};
use super::secrets::{is_secret, is_secret_table};
use super::{Config, check, files};

/// Where values that are not in the file come from. A value of its own, so that tests need no
/// environment.
pub struct Surroundings<'a> {
    /// What `file:` paths are relative to: the directory of the configuration file.
    pub directory: PathBuf,
    /// The environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

/// A configuration that can be started, and what somebody should look at nevertheless.
#[derive(Debug)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// Warnings; no errors.
    pub warnings: Problems,
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// [`Problems`]: everything that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let help = "give its path with --config; `headgate config example` prints one to start from";
        Problems::new(&name, "", vec![Problem::error("", format!("can not be read: {error}"), help)])
    })?;
    let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
    read(&name, &text, &Surroundings { directory, environment: &|variable| std::env::var(variable).ok() })
}

/// Reads and checks a configuration's text.
///
/// # Errors
/// [`Problems`]: everything that is wrong with it.
pub fn read(name: &str, text: &str, surroundings: &Surroundings<'_>) -> Result<Loaded, Problems> {
    let document = Document::parse(name, text)?;
    let mut reader = Reader { document: &document, surroundings, problems: Vec::new(), hidden: BTreeMap::new() };
    let mut root = reader.table(&document.root, "");
    let config = Config {
        server: reader.section(&mut root, "server"),
        store: reader.section(&mut root, "store"),
        keys: reader.list(&mut root, "key"),
        providers: reader.list(&mut root, "provider"),
        pulls: reader.list(&mut root, "pull"),
    };
    for key in root.keys() {
        let problem = Problem::error(key, "there is no such section", suggest(key, &SECTIONS));
        reader.problems.push(Problem { span: document.key(key), ..problem });
    }
    let mut problems = reader.problems;
    if problems.iter().all(|problem| problem.severity == Severity::Warning) {
        let mut found = check::check(&config);
        found.iter_mut().for_each(|problem| hide(problem, &reader.hidden));
        problems.append(&mut found);
    }
    let problems = document.problems(problems);
    if problems.has_errors() { Err(problems) } else { Ok(Loaded { config, warnings: problems }) }
}

/// The sections of the file, which are the fields of [`Config`].
pub(super) const SECTIONS: [&str; 5] = ["server", "store", "key", "provider", "pull"];

struct Reader<'a> {
    document: &'a Document,
    surroundings: &'a Surroundings<'a>,
    problems: Vec<Problem>,
    /// Values that came from outside or are secrets, by path: no message may repeat them.
    hidden: BTreeMap<String, String>,
}

impl Reader<'_> {
    fn table(&mut self, table: &BTreeMap<String, Entry>, path: &str) -> Map<String, Value> {
        let mut values = Map::new();
        for (key, entry) in table {
            let value = self.node(&entry.node, key, &join(path, key));
            values.insert(key.clone(), value);
        }
        values
    }

    /// A table whose every value is what its own key says: a secret.
    fn secrets(&mut self, table: &BTreeMap<String, Entry>, key: &str, path: &str) -> Map<String, Value> {
        let entries = table.iter();
        entries.map(|(name, entry)| (name.clone(), self.node(&entry.node, key, &join(path, name)))).collect()
    }

    fn node(&mut self, node: &Node, key: &str, path: &str) -> Value {
        match &node.content {
            Content::Table(table) if is_secret_table(key) => Value::Object(self.secrets(table, key, path)),
            Content::Table(table) => Value::Object(self.table(table, path)),
            Content::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.node(item, key, &format!("{path}[{index}]"))).collect()
            }
            Content::Leaf(Value::String(text)) => match self.resolve(text, key, path) {
                Ok(value) => {
                    if (hides(key) || value != *text) && !value.is_empty() {
                        self.hidden.insert(path.to_owned(), value.clone());
                    }
                    Value::String(value)
                }
                Err(problem) => {
                    self.problems.push(problem.at(node.span.clone()));
                    Value::String(text.clone())
                }
            },
            Content::Leaf(value) => value.clone(),
        }
    }

    fn resolve(&mut self, text: &str, key: &str, path: &str) -> Result<String, Problem> {
        let text = substitute(text, self.surroundings.environment, path)?;
        match text.strip_prefix("file:") {
            Some(file) if hides(key) => self.secret_file(file, path),
            _ => Ok(text),
        }
    }

    fn secret_file(&mut self, file: &str, path: &str) -> Result<String, Problem> {
        let full = self.surroundings.directory.join(file);
        let mut text = std::fs::read_to_string(&full).map_err(|error| {
            let help =
                "the path is relative to the configuration file; the user that runs Headgate must be able to read it";
            Problem::error(path, format!("{} can not be read: {error}", full.display()), help)
        })?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.is_empty() {
            return Err(Problem::error(path, format!("{} is empty", full.display()), "write the secret into it"));
        }
        self.problems.extend(files::world_readable(path, &full));
        Ok(text)
    }

    /// A section that may be absent.
    fn section<T: DeserializeOwned + Default>(&mut self, root: &mut Map<String, Value>, name: &str) -> T {
        root.remove(name).and_then(|value| self.item(value, name)).unwrap_or_default()
    }

    /// A section that may be there many times.
    fn list<T: DeserializeOwned>(&mut self, root: &mut Map<String, Value>, name: &str) -> Vec<T> {
        match root.remove(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                let items = items.into_iter().enumerate();
                items.filter_map(|(index, item)| self.item(item, &format!("{name}[{index}]"))).collect()
            }
            Some(_) => {
                let help = format!("write [[{name}]], in two pairs of brackets: there may be several");
                self.problems.push(Problem::error(name, "must be a list of tables", help));
                Vec::new()
            }
        }
    }

    /// Reads `value`. After a mistake it is taken out and the rest is read, to find the next one.
    fn item<T: DeserializeOwned>(&mut self, mut value: Value, base: &str) -> Option<T> {
        let mut removed: Vec<String> = Vec::new();
        loop {
            let error = match serde_path_to_error::deserialize(&value) {
                Ok(item) => return Some(item),
                Err(error) => error,
            };
            let path = match error.path().to_string() {
                path if path == "." => String::new(),
                path => path,
            };
            let mistake = Mistake::new(&path, &error.inner().to_string(), &value);
            if mistake.missing.as_ref().is_some_and(|key| removed.contains(&join(&path, key))) {
                return None;
            }
            let full = if mistake.path.starts_with('[') || mistake.path.is_empty() {
                format!("{base}{}", mistake.path)
            } else {
                join(base, &mistake.path)
            };
            // A value that could not be resolved is reported already.
            let known = |problem: &Problem| problem.path == full && problem.severity == Severity::Error;
            if !self.problems.iter().any(known) {
                let mut problem = Problem::error(full, mistake.text, mistake.help);
                if mistake.unknown {
                    problem.span = self.document.key(&problem.path);
                }
                hide(&mut problem, &self.hidden);
                self.problems.push(problem);
            }
            if mistake.missing.is_some() || !remove(&mut value, &mistake.path) {
                return None;
            }
            removed.push(mistake.path);
        }
    }
}

/// A message of serde, taken apart.
struct Mistake {
    path: String,
    text: String,
    help: String,
    /// Whether the key is to blame, not its value.
    unknown: bool,
    /// The field that is not there.
    missing: Option<String>,
}

impl Mistake {
    fn new(path: &str, message: &str, value: &Value) -> Self {
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let mut mistake =
            Self { path: path.into(), text: message.into(), help: String::new(), unknown: false, missing: None };
        if let Some((wrong, known)) = quoted.split_first() {
            if message.starts_with("unknown field") {
                // What serde reads through a tagged enum is blamed on the whole: the key itself is nearer.
                let below = join(path, wrong);
                if path.rsplit('.').next() != Some(wrong) && value_at(value, &below).is_some() {
                    mistake.path = below;
                }
                mistake.text = "there is no such setting here".into();
                mistake.help = suggest(wrong, known);
                mistake.unknown = true;
            } else if message.starts_with("unknown variant") {
                mistake.text = format!("{wrong:?} is not one of the choices");
                mistake.help = suggest(wrong, known);
            } else if message.starts_with("missing field") {
                mistake.text = format!("{wrong} is missing");
                mistake.help = format!("add a line `{wrong} = ...` here");
                mistake.missing = Some((*wrong).into());
            }
        } else if message.contains("\"friendly\" duration") {
            mistake.text = "is not a length of time".into();
            mistake.help = "write it as in \"500ms\", \"30s\", \"5m\" or \"24h\"".into();
        }
        mistake
    }
}

/// What was probably meant, or else all there is.
pub(crate) fn suggest(wrong: &str, known: &[&str]) -> String {
    let close = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance);
    match close {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.is_empty() => String::new(),
        None => format!("there are {}", known.join(", ")),
    }
}

/// Takes values out of a message that must not be shown.
fn hide(problem: &mut Problem, hidden: &BTreeMap<String, String>) {
    for value in hidden.iter().filter(|(path, _)| path.starts_with(&problem.path)).map(|(_, value)| value) {
        problem.text = problem.text.replace(value.as_str(), "***");
        problem.help = problem.help.replace(value.as_str(), "***");
    }
}

/// `text` with `${NAME}` replaced from the environment; `$${` stands for `${`.
fn substitute(text: &str, environment: &dyn Fn(&str) -> Option<String>, path: &str) -> Result<String, Problem> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let escape = "write $${ for ${ itself";
        let Some((name, after)) = from[2..].split_once('}') else {
            return Err(Problem::error(path, "a ${ is not closed", format!("add a }}, or {escape}")));
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            let text = format!("${{{name}}} does not name an environment variable");
            return Err(Problem::error(path, text, format!("use letters, digits and _, or {escape}")));
        }
        let value = environment(name).ok_or_else(|| {
            let help = format!("set it where Headgate is started, or {escape}");
            Problem::error(path, format!("the environment variable {name} is not set"), help)
        })?;
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The steps of a path, `a.b[0].c`. Keys of settings hold no dots.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|step| !step.is_empty())
}

fn value_at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path).try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// Takes the value at `path` out of a table; says whether it was there.
fn remove(value: &mut Value, path: &str) -> bool {
    let mut steps: Vec<&str> = steps(path).collect();
    let Some(last) = steps.pop() else { return false };
    let parent = steps.into_iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        other => other.get_mut(step),
    });
    parent.and_then(Value::as_object_mut).and_then(|table| table.remove(last)).is_some()
}

/// Whether a text below this key is a secret.
fn hides(key: &str) -> bool {
    is_secret(key) || is_secret_table(key)
}
