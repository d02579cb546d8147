//! Tells that a part of the store is lost: a task or thread that panicked does nothing any more, and the process would go on as if
//! nothing had happened.

use std::{future::Future, sync::Arc};
use tokio::{sync::watch, task::JoinHandle};

/// Rings once a part is lost. Default: nobody listens.
#[derive(Debug, Clone, Default)]
pub struct Alarm(Arc<watch::Sender<Option<&'static str>>>);

/// Rings where it is dropped by a panic.
pub struct Watched {
    alarm: Alarm,
    name: &'static str,
}

impl Alarm {
    /// To be held by a part for as long as it works.
    pub(super) fn watch(&self, name: &'static str) -> Watched {
        Watched { alarm: self.clone(), name }
    }

    /// A task whose panic rings. That it ends, or is aborted, is no news.
    pub(super) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let watched = self.watch(name);
        tokio::spawn(async move {
            let _watched = watched;
            work.await;
        })
    }

    /// Waits until a part is lost; gives its name.
    pub async fn rung(&self) -> &'static str {
        let mut rung = self.0.subscribe();
        loop {
            if let Some(name) = *rung.borrow_and_update() {
                return name;
            }
            if rung.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.alarm.0.send_replace(Some(self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn only_a_panic_rings() {
        let alarm = Alarm::default();
        alarm.spawn("one that ends", async {}).await.unwrap();
        let aborted = alarm.spawn("one that is aborted", std::future::pending());
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        assert!(tokio::time::timeout(Duration::from_millis(20), alarm.rung()).await.is_err());
        let lost = alarm.spawn("one that is lost", async { panic!("a mistake of ours") });
        assert!(lost.await.unwrap_err().is_panic());
        assert_eq!(alarm.rung().await, "one that is lost");
        let watched = Alarm::default();
        let part = watched.watch("a thread");
        let thread = std::thread::spawn(move || {
            let _part = part;
            panic!("a mistake of ours");
        });
        assert!(thread.join().is_err());
        assert_eq!(watched.rung().await, "a thread");
    }
}
