//! Tasks that belong together, watched over, and ended together.

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Running tasks; each gives its name when it ends.
pub struct Crew {
    end: watch::Sender<bool>,
    supervisor: JoinHandle<()>,
}

impl Crew {
    /// Watches over tasks.
    pub fn watch(tasks: JoinSet<&'static str>) -> Self {
        let (end, ending) = watch::channel(false);
        Self { end, supervisor: tokio::spawn(supervise(tasks, ending)) }
    }

    /// Ends what still runs.
    pub async fn stop(self) {
        self.end.send_replace(true);
        let _ = self.supervisor.await;
    }
}

async fn supervise(mut tasks: JoinSet<&'static str>, mut ending: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            // An error means that the crew itself is gone, which is an end, too.
            _ = ending.wait_for(|ended| *ended) => break,
            ended = tasks.join_next() => match ended {
                Some(Ok(name)) => tracing::info!(name, "this part of the demonstration has ended"),
                Some(Err(error)) => tracing::error!(%error, "a part of the demonstration broke; restart the server to have it again"),
                None => break,
            },
        }
    }
    tasks.shutdown().await;
}
