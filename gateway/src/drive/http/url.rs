//! Where a web service is: one URL of the settings.

use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};

use crate::drive::stream::Address;

/// An `http:` or `https:` URL without credentials, query and fragment.
#[derive(Clone, Debug)]
pub(super) struct Url {
    scheme: Scheme,
    authority: Authority,
    /// The host and the port that it leads to.
    pub(super) address: Address,
    /// As written; empty: none.
    path: String,
}

impl Url {
    /// Whether it asks for TLS.
    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Whether it leads to this very machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.address.host.as_str();
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The URL of a call's target below this one. An empty target means this very URL.
    ///
    /// # Errors
    /// What is wrong with the target; it is not shown.
    pub(super) fn join(&self, target: &str) -> Result<Uri, &'static str> {
        if !target.is_empty() && !target.starts_with('/') {
            return Err("a call's target must begin with `/`");
        }
        // A fragment would be cut off, and blanks would end the request line.
        if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err("a call's target must be percent-encoded: it holds a blank, `#` or what is not ASCII");
        }
        let path = match (target, self.path.as_str()) {
            ("", "") => "/".to_owned(),
            ("", path) => path.to_owned(),
            (target, path) => format!("{}{target}", path.trim_end_matches('/')),
        };
        let path = PathAndQuery::try_from(path).map_err(|_| "a call's target is not one of HTTP")?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| "a call's target is not one of HTTP")
    }
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be as in \"https://cas.example:8443/path\"";
        if text.contains(['?', '#']) {
            return Err("must have no query and no fragment: the calls bring their own");
        }
        let uri: Uri = text.parse().map_err(|_| FORM)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(FORM) };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err("must begin with \"http://\" or \"https://\"");
        }
        if authority.as_str().contains('@') {
            return Err("must not hold a name and a password: give `basic` instead");
        }
        let path = match uri.path() {
            "/" if !text.ends_with('/') => "",
            path => path,
        };
        Ok(Self {
            scheme: scheme.clone(),
            authority: authority.clone(),
            address: address(&uri).ok_or(FORM)?,
            path: path.to_owned(),
        })
    }
}

/// The host and the port that a URL leads to.
pub(super) fn address(uri: &Uri) -> Option<Address> {
    let host = uri.host().filter(|host| !host.is_empty())?;
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let port = match uri.authority()?.as_str().rsplit_once(':') {
        // What stands there is no number up to 65535: the library sees no port then.
        Some((_, port)) if !port.ends_with(']') => port.parse().ok().filter(|&port| port != 0)?,
        _ if uri.scheme() == Some(&Scheme::HTTPS) => 443,
        _ => 80,
    };
    Some(Address { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_their_host_port_and_path() {
        for (text, address, joined) in [
            ("http://cas.example", "cas.example:80", "http://cas.example/x?y=1"),
            ("https://cas.example/", "cas.example:443", "https://cas.example/x?y=1"),
            ("https://10.0.0.1:8443/omi", "10.0.0.1:8443", "https://10.0.0.1:8443/omi/x?y=1"),
            ("http://[::1]:81/a/b/", "[::1]:81", "http://[::1]:81/a/b/x?y=1"),
            ("http://[::1]/a", "[::1]:80", "http://[::1]/a/x?y=1"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.address.to_string(), address);
            assert_eq!(url.join("/x?y=1").unwrap().to_string(), joined);
        }
        for text in [
            "",
            "cas.example",
            "cas.example:80",
            "/path",
            "ftp://cas",
            "http://",
            "http://:80",
            "http://cas:0",
            "http://cas:65536",
            "http://cas:",
            "http://u:p@cas",
            "http://cas/?a=b",
            "http://cas/#a",
            "http://cas/a b",
        ] {
            text.parse::<Url>().unwrap_err();
        }
    }

    #[test]
    fn targets_are_kept_to_the_byte_or_refused() {
        let url: Url = "http://cas/base".parse().unwrap();
        for target in ["/", "/%2F//a/../b?x=%20&y=%zz", "/a?b?c=[]"] {
            assert_eq!(url.join(target).unwrap().path_and_query().unwrap().as_str(), format!("/base{target}"));
        }
        assert_eq!(url.join("").unwrap().path(), "/base");
        for target in ["x", "?x", "/a b", "/a#b", "/ä", "/a\r\nx: y"] {
            url.join(target).unwrap_err();
        }
    }

    #[test]
    fn loopback_is_this_machine() {
        for (text, here) in [
            ("http://localhost", true),
            ("http://127.1.2.3:1", true),
            ("http://[::1]", true),
            ("http://localhost.example", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().is_loopback(), here, "{text}");
        }
    }
}
