//! An FTP server that answers as a test wants: for what real servers do only on bad days, and for the ways of
//! servers that are not at hand.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it does with a command.
pub(crate) enum Answer {
    /// Replies with this line.
    Line(&'static str),
    /// Sends this over a data connection, and then replies with the line.
    Data(&'static str, &'static str),
    /// Closes the connection.
    HangUp,
}

/// The server; every session runs on a thread and ends with its client.
pub(crate) struct ScriptedFtp {
    port: u16,
    commands: Arc<Mutex<Vec<String>>>,
}

impl ScriptedFtp {
    /// Starts one. `script` is asked for commands other than `TYPE` and `PASV`; where it has nothing to say, the
    /// command is carried out in words only.
    pub(crate) fn start(script: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (script, record) = (Arc::new(script), Arc::clone(&commands));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, record) = (Arc::clone(&script), Arc::clone(&record));
                // A client that goes away ends its session; nothing else can go wrong here.
                std::thread::spawn(move || drop(serve(stream.unwrap(), &*script, &record)));
            }
        });
        Self { port, commands }
    }

    /// The commands it got, in order.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }

    /// A `connection` table for it.
    pub(crate) fn table(&self) -> String {
        format!("[ftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"u\"\npassword = \"secret-word\"\n", self.port)
    }
}

fn serve(
    mut control: TcpStream,
    script: &dyn Fn(&str) -> Option<Answer>,
    record: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(control.try_clone()?);
    let data = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = data.local_addr()?.port();
    control.write_all(b"220 ready\r\n")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        record.lock().unwrap().push(command.clone());
        let verb = command.split(' ').next().unwrap_or_default();
        match (verb, script(&command)) {
            (_, Some(Answer::HangUp)) => return Ok(()),
            (_, Some(Answer::Line(reply))) => write!(control, "{reply}\r\n")?,
            (_, Some(Answer::Data(contents, reply))) => {
                let (mut stream, _) = data.accept()?;
                control.write_all(b"150 here it comes\r\n")?;
                stream.write_all(contents.as_bytes())?;
                drop(stream);
                write!(control, "{reply}\r\n")?;
            }
            ("PASV", None) => {
                write!(control, "227 passive (127,0,0,1,{},{})\r\n", port / 256, port % 256)?;
            }
            ("STOR", None) => {
                let (mut stream, _) = data.accept()?;
                control.write_all(b"150 send it\r\n")?;
                std::io::copy(&mut stream, &mut std::io::sink())?;
                control.write_all(b"226 stored\r\n")?;
            }
            ("USER", None) => control.write_all(b"331 password\r\n")?,
            ("PASS", None) => control.write_all(b"230 in\r\n")?,
            ("PWD", None) => control.write_all(b"257 \"/home\" is here\r\n")?,
            ("SIZE", None) => control.write_all(b"550 no such file\r\n")?,
            ("RNFR", None) => control.write_all(b"350 to what\r\n")?,
            ("CWD" | "RNTO" | "DELE", None) => control.write_all(b"250 done\r\n")?,
            ("TYPE", None) => control.write_all(b"200 done\r\n")?,
            (_, None) => control.write_all(b"502 not known\r\n")?,
        }
    }
}
