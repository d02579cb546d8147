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
    /// The clock jumps, forward and back, by up to thirty hours, and servers are killed.
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

/// What a server needs in its environment so that its clock can be moved; `folder` takes the library and the file.
pub fn clock_environment(folder: &Path) -> Result<Vec<(&'static str, String)>, String> {
    let library = folder.join("clock.so");
    let built = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(CLOCK).status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("the C compiler cannot compile what moves the clock".to_owned());
    }
    let file = folder.join("clock");
    std::fs::write(&file, 0_i64.to_ne_bytes()).map_err(|error| error.to_string())?;
    Ok(vec![("LD_PRELOAD", library.display().to_string()), ("CHAOS_CLOCK", file.display().to_string())])
}

/// Ends the jumps behind the latest moment there was: what came in while the clock was ahead is due then.
pub fn settle_clock(trouble: Trouble, site: &Site) -> Result<(), String> {
    if trouble == Trouble::Clock { set_clock(site, 31) } else { Ok(()) }
}

/// Sets the clock of a site's servers so far from the system's. In place: the servers look at these bytes.
fn set_clock(site: &Site, hours: i64) -> Result<(), String> {
    let file = File::options().write(true).open(site.clock_file());
    file.and_then(|mut file| file.write_all(&(hours * 3_600).to_ne_bytes())).map_err(|error| error.to_string())
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

/// Makes trouble of another kind once; counted from 0.
pub fn strike(trouble: Trouble, site: &Site, servers: &mut [Server], random: &mut Random, number: u64) -> Result<(), String> {
    let mut pause = |from: u64, spread: u64| std::thread::sleep(Duration::from_millis(from + random.below(spread)));
    pause(150, 850);
    match trouble {
        Trouble::Kills | Trouble::FullDisk => {}
        Trouble::Clock => {
            let hours = random.below(61).cast_signed() - 30;
            set_clock(site, hours)?;
            if number % 3 != 2 {
                return Ok(());
            }
        }
    }
    let node = random.below(servers.len() as u64) as usize;
    servers[node].kill();
    servers[node] = Server::start(site, node)?;
    Ok(())
}
