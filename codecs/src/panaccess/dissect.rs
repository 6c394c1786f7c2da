//! Messages of either binding explained.

use super::wire::{Operation, plain};
use crate::dissect::Dissection;
use crate::http::dissect::{self, Describe};

/// Explains a call or an answer, of either binding.
#[must_use]
pub fn decode(bytes: &[u8]) -> Vec<Dissection> {
    vec![dissect::dissect(bytes, &Panaccess)]
}

struct Panaccess;

impl Describe for Panaccess {
    fn title(&self, start_line: &str, names: &[String]) -> Option<String> {
        let first = names.first().map(String::as_str).unwrap_or_default();
        if let Some(function) = start_line.split_once("?f=").and_then(|(_, rest)| rest.split(['&', ' ']).next()) {
            return Some(format!("call of {}", plain(function)));
        }
        if first == "Fault" {
            return Some("refusal".into());
        }
        if let Some(function) = first.strip_suffix("Response").filter(|name| name.starts_with("cv")) {
            return Some(format!("answer of {}", plain(function)));
        }
        if first.starts_with("cv") {
            return Some(format!("call of {}", plain(first)));
        }
        names.iter().any(|name| name == "success").then(|| "answer".into())
    }

    fn meaning(&self, path: &str, value: &str) -> String {
        let name = path.rsplit(['/', '@']).next().unwrap_or_default();
        let name = name.split('[').next().unwrap_or_default();
        let meaning = match name {
            "f" if Operation::FUNCTIONS.contains(&plain(value).as_str()) => "a function Headgate uses",
            "f" => "a function Headgate does not use",
            "sessionId" => "the session",
            "apiToken" => "the API token",
            "faultcode" | "faultstring" | "errorCode" => "the refusal's name, or its words",
            "targetType" => match value {
                "osm_sn" => "one card",
                "osm_sns" => "all cards of a subscriber",
                "osm_hc" => "a headcontrol",
                "osm_op" => "everybody",
                "osm_pkg" => "the holders of a package",
                _ => "",
            },
            "cycleTime" if value == "0" => "once",
            "cycleTime" => "minutes between two times",
            "configId" if value == "-1" => "none",
            "pin" => "leading zeros are dropped",
            "status" => "the numbers are not published",
            "hcId" => "the headcontrol",
            _ => "",
        };
        meaning.to_owned()
    }
}
