//! A way to the database that can be cut, also between a commit and its answer.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes connections on to a port of this machine, as long as it is not cut.
pub struct Proxy {
    pub port: u16,
    open: watch::Sender<bool>,
    needle: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (open, is_open) = watch::channel(true);
        let needle = Arc::new(Mutex::new(None));
        let watched = needle.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut is_open = is_open.clone();
                if !*is_open.borrow_and_update() {
                    continue;
                }
                let needle = watched.clone();
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    tokio::select! {
                        () = pass(near, far, needle) => {}
                        _ = is_open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { port: own, open, needle }
    }

    /// Breaks every connection and lets none come about.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    pub fn mend(&self) {
        self.open.send_replace(true);
    }

    /// The first connection on which these bytes are sent is broken before their answer comes, once.
    pub fn lose_the_answer_to(&self, bytes: &[u8]) {
        *self.needle.lock().unwrap() = Some(bytes.to_vec());
    }

    /// Whether an answer is still to be lost.
    pub fn is_waiting(&self) -> bool {
        self.needle.lock().unwrap().is_some()
    }
}

async fn pass(near: TcpStream, far: TcpStream, needle: Arc<Mutex<Option<Vec<u8>>>>) {
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    let silent = AtomicBool::new(false);
    let there = async {
        let mut bytes = vec![0; 1 << 20];
        loop {
            let Ok(count @ 1..) = near_read.read(&mut bytes).await else { return };
            let fits = |needle: &mut Vec<u8>| bytes[..count].windows(needle.len()).any(|window| window == needle);
            let found = needle.lock().unwrap().take_if(fits).is_some();
            silent.store(found, SeqCst);
            if far_write.write_all(&bytes[..count]).await.is_err() {
                return;
            }
            if found {
                // Long enough for the server to do what it was told.
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                return;
            }
        }
    };
    let back = async {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let Ok(count @ 1..) = far_read.read(&mut bytes).await else { return };
            if !silent.load(SeqCst) && near_write.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}
