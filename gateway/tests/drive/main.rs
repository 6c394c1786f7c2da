//! Drivers and simulated platforms over real sockets, real files and servers that this project did not write.
//! `tests/packages.txt` names the Debian packages that these need.

mod files;
mod ftp;
mod ftp_manners;
mod http;
mod http_failures;
mod http_python;
mod http_tls;
mod links;
mod openssl;
#[cfg(feature = "sftp")]
mod sftp;
mod simulate;
mod support;
mod tables;
mod tls;
