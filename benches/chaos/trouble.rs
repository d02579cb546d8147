//! What is done to the servers while messages come in.

use super::{
    Random, postgres,
    proxy::Proxy,
    server::{Server, Site},
};
use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// What moves the clock of a server: compiled when it is needed.
const CLOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/chaos/clock.c");
const LIBRARY: &str = "clock.so";
/// How large the disk is that runs full: what comes in between must fit.
const DISK: &str = "4g";
/// How much of it is free between two times.
const ROOM: u64 = 512 << 20;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The processes are killed. On PostgreSQL their connections break besides, and the database itself is killed.
    Kills,
    /// The disk is full again and again, and servers are killed while it is.
    FullDisk,
    /// The servers' clock jumps, forward and back, by up to thirty hours, on PostgreSQL the database's in turns with it, and servers
    /// are killed.
    Clock,
}

impl Trouble {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kills => "kills",
            Self::FullDisk => "full disk",
            Self::Clock => "jumping clock",
        }
    }

    /// What is missing on this machine to make it, if anything is.
    pub fn missing(self) -> Option<&'static str> {
        let is_root = || Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
        match self {
            Self::FullDisk if !is_root() => Some("only root can mount a small disk"),
            _ => None,
        }
    }
}

/// A small disk in memory; unmounted when dropped, before its folder goes.
pub struct Disk(TempDir);

impl Disk {
    pub fn mount() -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("quittance-disk-").tempdir().map_err(|error| error.to_string())?;
        let options = format!("size={DISK},mode=755");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).status();
        match done {
            Ok(status) if status.success() => Ok(Self(folder)),
            other => Err(format!("no small disk: {other:?}")),
        }
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Leaves no byte free.
    fn fill(&self) -> Result<(), String> {
        let mut file = File::options().append(true).create(true).open(self.ballast()).map_err(|error| error.to_string())?;
        for size in [1 << 20, 4_096] {
            let block = vec![0u8; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    /// Makes room again: a part of the ballast stays, so that the next time does not take long.
    fn free(&self) -> Result<(), String> {
        let file = File::options().write(true).open(self.ballast()).map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        file.set_len(length.saturating_sub(ROOM)).map_err(|error| error.to_string())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).stderr(Stdio::null()).status();
    }
}

/// The clocks that jump: the servers', and that of their database.
pub struct Clocks {
    folder: TempDir,
    has_database: bool,
}

/// Whose clock it is; also the file of its jump.
#[derive(Debug, Clone, Copy)]
pub enum Whose {
    Servers,
    Database,
}

impl Clocks {
    /// Where the database has no server of its own there is one clock.
    pub fn new(has_database: bool) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("quittance-clock-").tempdir().map_err(|error| error.to_string())?;
        // The database's server runs as somebody else.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(|error| error.to_string())?;
        let built =
            Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(folder.path().join(LIBRARY)).arg(CLOCK).status();
        if !built.is_ok_and(|status| status.success()) {
            return Err("the C compiler cannot compile what moves the clock".to_owned());
        }
        let clocks = Self { folder, has_database };
        for whose in [Whose::Servers, Whose::Database] {
            std::fs::write(clocks.file(whose), 0_i64.to_ne_bytes()).map_err(|error| error.to_string())?;
        }
        Ok(clocks)
    }

    fn file(&self, whose: Whose) -> PathBuf {
        self.folder.path().join(format!("{whose:?}"))
    }

    /// What a process needs in its environment so that its clock can be moved.
    pub fn environment(&self, whose: Whose) -> [(&'static str, String); 2] {
        let library = self.folder.path().join(LIBRARY).display().to_string();
        [("LD_PRELOAD", library), ("CHAOS_CLOCK", self.file(whose).display().to_string())]
    }

    /// Sets a clock so far from the system's. In place: the processes look at these bytes.
    fn set(&self, whose: Whose, hours: i64) -> Result<(), String> {
        let file = File::options().write(true).open(self.file(whose));
        file.and_then(|mut file| file.write_all(&(hours * 3_600).to_ne_bytes())).map_err(|error| error.to_string())
    }

    /// Lets one jump; counted from 0. They differ by up to sixty hours then.
    fn jump(&self, random: &mut Random, number: u64) -> Result<(), String> {
        let whose = if self.has_database && number % 2 == 1 { Whose::Database } else { Whose::Servers };
        self.set(whose, random.below(61).cast_signed() - 30)
    }

    /// Ends the jumps behind the latest moment there was: what came in while a clock was ahead is due then.
    pub fn settle(&self) -> Result<(), String> {
        self.set(Whose::Servers, 31)?;
        self.set(Whose::Database, 31)
    }
}

/// What happens to the database itself: now all connections to it break and none comes about for a moment, now it crashes.
pub fn disturb(database: &mut postgres::Server, way: &Proxy, random: &mut Random, number: u64) {
    let mut pause = |most: u64| std::thread::sleep(Duration::from_millis(random.below(most)));
    match number % 4 {
        1 => {
            way.cut();
            pause(1_000);
            way.mend();
        }
        3 => {
            database.crash();
            pause(500);
        }
        _ => {}
    }
}

/// Lets the disk run full once; counted from 0. A database server that gave up meanwhile is started again, as an operator does who
/// made room.
pub fn run_full(
    disk: &Disk,
    database: Option<&mut postgres::Server>,
    site: &Site,
    servers: &mut [Server],
    random: &mut Random,
    number: u64,
) -> Result<(), String> {
    let mut pause = |from: u64, spread: u64| std::thread::sleep(Duration::from_millis(from + random.below(spread)));
    pause(150, 850);
    disk.fill()?;
    pause(300, 700);
    // What it promised just before the disk was full must be there when it comes up again.
    let killed = number.is_multiple_of(2).then(|| random.below(servers.len() as u64) as usize);
    if let Some(node) = killed {
        servers[node].kill();
    }
    disk.free()?;
    if let Some(database) = database {
        database.revive();
    }
    if let Some(node) = killed {
        servers[node] = Server::start(site, node)?;
    }
    Ok(())
}

/// Kills a server once, or lets a clock jump, where there are clocks that do, and kills a server every third time; counted from 0.
pub fn strike(
    clocks: Option<&Clocks>,
    site: &Site,
    servers: &mut [Server],
    random: &mut Random,
    number: u64,
) -> Result<(), String> {
    std::thread::sleep(Duration::from_millis(150 + random.below(850)));
    if let Some(clocks) = clocks {
        clocks.jump(random, number)?;
        if number % 3 != 2 {
            return Ok(());
        }
    }
    let node = random.below(servers.len() as u64) as usize;
    servers[node].kill();
    servers[node] = Server::start(site, node)?;
    Ok(())
}
