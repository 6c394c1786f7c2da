//! Checks what the types can not say: names that clash, files that are not there, an API open to the world.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use headgate_codecs::registry;

use super::load::suggest;
use super::problem::Problem;
use super::{ApiKey, Config, CrmComFace, ProviderConfig, Role, Server, StoreConfig, connection, files};

/// Everything that is wrong with `config`, by setting.
#[must_use]
pub fn check(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    server(&config.server, &config.keys, &mut problems);
    store(&config.store, &mut problems);
    keys(&config.keys, &config.providers, &mut problems);
    if config.providers.is_empty() {
        let help = "add a [[provider]]; `headgate config example` shows one for every protocol";
        problems.push(Problem::warning("", "there is no provider, so no request can be accepted", help));
    }
    unique("provider", "name", config.providers.iter().map(|provider| provider.name.as_str()), &mut problems);
    for (index, config) in config.providers.iter().enumerate() {
        provider(&format!("provider[{index}]"), config, &mut problems);
    }
    if let Some(face) = &config.server.crm_com {
        crm_com(face, config, &mut problems);
    }
    unique("pull", "name", config.pulls.iter().map(|pull| pull.name.as_str()), &mut problems);
    for (index, pull) in config.pulls.iter().enumerate() {
        for (path, text) in crate::pull::mistakes(pull, config) {
            problems.push(Problem::error(below(&format!("pull[{index}]"), &path), text, ""));
        }
    }
    problems
}

fn server(server: &Server, keys: &[ApiKey], problems: &mut Vec<Problem>) {
    let mut listens = vec![("server.listen", server.listen)];
    listens.extend(server.stream_listen.map(|address| ("server.stream_listen", address)));
    for (path, address) in &listens {
        if !address.ip().is_loopback() {
            exposed(path, *address, server.tls.is_some(), !keys.is_empty(), problems);
        }
    }
    if server.stream_listen == Some(server.listen) && server.listen.port() != 0 {
        problems.push(Problem::error("server.stream_listen", "is the address of the API", "use another port"));
    }
    if let Some(tls) = &server.tls {
        problems.extend(files::certificates("server.tls.certificate", &tls.certificate));
        problems.extend(files::private_key("server.tls.key", &tls.key));
        problems.extend(tls.client_ca.as_ref().and_then(|ca| files::certificates("server.tls.client_ca", ca)));
    }
    at_least_one("server.body_limit", server.body_limit, problems);
    at_least_one("server.connections", server.connections, problems);
    if server.read_timeout.is_zero() {
        problems.push(Problem::error("server.read_timeout", "must be longer than nothing", "write it as in \"30s\""));
    }
}

fn crm_com(face: &CrmComFace, config: &Config, problems: &mut Vec<Problem>) {
    let known: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    for (prefix, provider) in face.providers.all() {
        if let Some(provider) = provider.filter(|provider| !known.contains(&provider.as_str())) {
            let text = format!("there is no provider {provider:?}");
            let path = format!("server.crm_com.providers.{prefix}");
            problems.push(Problem::error(path, text, suggest(provider.as_str(), &known)));
        }
    }
    if face.wait > Duration::from_mins(5) {
        problems.push(Problem::error("server.crm_com.wait", "must be at most 5m", ""));
    }
}

fn exposed(path: &str, address: SocketAddr, tls: bool, keys: bool, problems: &mut Vec<Problem>) {
    let text = format!("{address} can be reached from other machines");
    if !tls {
        let help = "add [server.tls] with `certificate` and `key`, or listen on 127.0.0.1";
        problems.push(Problem::error(path, format!("{text}, and there is no TLS"), help));
    }
    if !keys {
        let help = "add a [[key]] (`headgate config key NAME ROLE` makes one), or listen on 127.0.0.1";
        problems.push(Problem::error(path, format!("{text}, and no key is asked for"), help));
    }
}

fn store(store: &StoreConfig, problems: &mut Vec<Problem>) {
    let directory = store.path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        let text = format!("there is no directory {}", directory.display());
        problems.push(Problem::error("store.path", text, format!("mkdir -p {}", directory.display())));
    } else if store.path.is_dir() {
        let text = format!("{} is a directory", store.path.display());
        problems.push(Problem::error("store.path", text, "name a file in it, as in headgate.db"));
    }
}

fn keys(keys: &[ApiKey], providers: &[ProviderConfig], problems: &mut Vec<Problem>) {
    unique("key", "name", keys.iter().map(|key| key.name.as_str()), problems);
    for (index, key) in keys.iter().enumerate() {
        let known: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
        for name in key.providers.iter().filter(|name| !known.contains(&name.as_str())) {
            let text = format!("there is no provider {:?}", name.as_str());
            problems.push(Problem::error(format!("key[{index}].providers"), text, suggest(name.as_str(), &known)));
        }
        if !key.providers.is_empty() && key.role != Role::Worker {
            let text = format!("binds workers only; the role {} sees every provider", key.role.name());
            problems.push(Problem::error(
                format!("key[{index}].providers"),
                text,
                "leave it out, or use role = \"worker\"",
            ));
        }
        let well_formed = key.sha256.len() == 64 && key.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !well_formed {
            let help = "`headgate config key NAME ROLE` makes a key and its hash; the key itself does not belong here";
            problems.push(Problem::error(format!("key[{index}].sha256"), "must be 64 hexadecimal digits", help));
        }
    }
    let hashes: Vec<String> = keys.iter().map(|key| key.sha256.to_ascii_lowercase()).collect();
    unique("key", "sha256", hashes.iter().map(String::as_str), problems);
}

fn provider(path: &str, config: &ProviderConfig, problems: &mut Vec<Problem>) {
    at_least_one(&format!("{path}.limits.window"), config.limits.window, problems);
    at_least_one(&format!("{path}.limits.queue"), config.limits.queue, problems);
    at_least_one(&format!("{path}.retry.attempts"), config.retry.attempts as usize, problems);
    if config.limits.window > 1_000_000 {
        problems.push(Problem::error(format!("{path}.limits.window"), "must be at most 1000000", ""));
    }
    if config.retry.first_delay > config.retry.longest_delay {
        let text = "is longer than longest_delay";
        problems.push(Problem::error(format!("{path}.retry.first_delay"), text, "shorten it, or raise longest_delay"));
    }
    let Some(protocol) = registry::find(&config.protocol) else {
        let known: Vec<&str> = registry::PROTOCOLS.iter().map(|protocol| protocol.name).collect();
        let text = format!("there is no protocol {:?}", config.protocol);
        problems.push(Problem::error(format!("{path}.protocol"), text, suggest(&config.protocol, &known)));
        return;
    };
    match (protocol.open)(&config.provider(), &config.settings, 0) {
        Ok(opened) => {
            for name in opened.rules.end_points() {
                if !config.connection.endpoints.contains_key(&name) {
                    let text = format!("the settings name an end point {name:?}, which is not here");
                    let help =
                        format!("add it, as in `{name} = \"https://...\"`; without it its calls would go to `url`");
                    problems.push(Problem::error(format!("{path}.connection.endpoints"), text, help));
                }
            }
        }
        Err(error) => {
            let settings = format!("{path}.settings");
            let help = format!("`headgate config example {}` shows every setting", protocol.name);
            problems.push(Problem::error(below(&settings, &error.path), error.text, help));
        }
    }
    problems.extend(connection::check(&format!("{path}.connection"), protocol, &config.connection));
}

/// The setting `inner` below the table `outer`.
fn below(outer: &str, inner: &str) -> String {
    match inner {
        "" => outer.to_owned(),
        inner if inner.starts_with('[') => format!("{outer}{inner}"),
        inner => format!("{outer}.{inner}"),
    }
}

fn at_least_one(path: &str, value: usize, problems: &mut Vec<Problem>) {
    if value == 0 {
        problems.push(Problem::error(path, "must be at least 1", ""));
    }
}

fn unique<'a>(list: &str, field: &str, values: impl Iterator<Item = &'a str>, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for (index, value) in values.enumerate() {
        if let Some(first) = seen.get(value) {
            let text = format!("is the same as {list}[{first}].{field}");
            problems.push(Problem::error(format!("{list}[{index}].{field}"), text, "every one needs its own"));
        } else {
            seen.insert(value, index);
        }
    }
}
