//! A mail server that takes what is given to it, or refuses it, as the test says. It speaks SMTP as RFC 5321 has it, as far as
//! a client can tell.

use super::until;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// A mail as it was given.
#[derive(Debug, Clone)]
pub struct Taken {
    /// What stood between the angle brackets.
    pub from: String,
    pub to: Vec<String>,
    /// Everything after DATA, with the dots of transparency taken off.
    pub text: String,
    /// User and password, where somebody signed in.
    pub sign_in: Option<String>,
}

impl Taken {
    /// A header, unfolded.
    pub fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
        let line = head.lines().find(|line| line.split(':').next().is_some_and(|known| known.eq_ignore_ascii_case(name)));
        line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

/// What the server does to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// Answers a command (`MAIL`, `RCPT`, `DATA`, `AUTH`, `.` for the end of a mail) so.
    Answers(&'static str, &'static str),
    /// Answers nothing to a command and breaks off.
    BreaksOffAt(&'static str),
    /// Greets with this and nothing else.
    Greets(&'static str),
}

struct State {
    mood: Mood,
    taken: Vec<Taken>,
    /// Commands that came, each with how often.
    commands: HashMap<String, usize>,
}

/// A running mail server.
#[derive(Clone)]
pub struct MailSink {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl MailSink {
    /// A server that takes everything; signing in is offered.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { mood: Mood::Takes, taken: Vec::new(), commands: HashMap::new() }));
        let served = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = served.clone();
                tokio::spawn(async move {
                    let _ = serve(stream, state).await;
                });
            }
        });
        Self { address, state }
    }

    /// Its address for `--smtp-url`.
    pub fn url(&self) -> String {
        format!("smtp://shop:s%40cret@{}", self.address)
    }

    /// From now on it does so.
    pub fn mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// What it took so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.state.lock().unwrap().taken.clone()
    }

    /// How often a command came.
    pub fn count(&self, command: &str) -> usize {
        self.state.lock().unwrap().commands.get(command).copied().unwrap_or(0)
    }

    pub async fn wait_for(&self, count: usize) -> Vec<Taken> {
        until("mails at the mail server", || async { Some(self.taken()).filter(|taken| taken.len() >= count) }).await
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mood = || state.lock().unwrap().mood.clone();
    let greeting = match mood() {
        Mood::Greets(text) => text,
        _ => "220 sink ESMTP",
    };
    stream.write_all(format!("{greeting}\r\n").as_bytes()).await?;
    let mut mail = Taken { from: String::new(), to: Vec::new(), text: String::new(), sign_in: None };
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let text = line.trim_end().to_owned();
        let command = text.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        *state.lock().unwrap().commands.entry(command.clone()).or_default() += 1;
        let answer = match mood() {
            Mood::BreaksOffAt(at) if at == command => return Ok(()),
            Mood::Answers(at, answer) if at == command => answer.to_owned(),
            _ => match command.as_str() {
                "EHLO" => "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN".to_owned(),
                "HELO" | "RSET" | "NOOP" => "250 ok".to_owned(),
                "AUTH" => {
                    use base64::Engine as _;
                    let word = text.split(' ').nth(2).unwrap_or_default();
                    let plain = base64::engine::general_purpose::STANDARD.decode(word).unwrap_or_default();
                    mail.sign_in = Some(String::from_utf8_lossy(&plain).replace('\0', "|"));
                    "235 welcome".to_owned()
                }
                "MAIL" => {
                    mail.from = inner(&text);
                    "250 ok".to_owned()
                }
                "RCPT" => {
                    mail.to.push(inner(&text));
                    "250 ok".to_owned()
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    mail.text = data(&mut stream).await?;
                    match mood() {
                        Mood::BreaksOffAt(".") => return Ok(()),
                        Mood::Answers(".", answer) => answer.to_owned(),
                        _ => {
                            let sign_in = mail.sign_in.clone();
                            let empty = Taken { from: String::new(), to: Vec::new(), text: String::new(), sign_in };
                            state.lock().unwrap().taken.push(std::mem::replace(&mut mail, empty));
                            "250 taken".to_owned()
                        }
                    }
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => "500 what?".to_owned(),
            },
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

fn inner(text: &str) -> String {
    text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| inner.to_owned()).unwrap_or_default()
}

async fn data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut text = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 || line == b".\r\n" {
            return Ok(text);
        }
        let line = String::from_utf8_lossy(&line);
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
