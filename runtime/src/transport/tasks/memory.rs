//! Tasks between threads of one process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};

use super::{Delivery, Error, TaskBoard, TaskQueue};

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Delivery>,
    is_closed: bool,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, delivery: Delivery) {
        let mut waiting = self.waiting();
        match delivery.is_redelivered {
            // Where it was.
            true => waiting.tasks.push_front(delivery),
            false => waiting.tasks.push_back(delivery),
        }
        drop(waiting);
        self.changed.notify_one();
    }
}

/// The server's end.
pub struct MemoryBoard {
    shared: Arc<Shared>,
    notices: mpsc::UnboundedReceiver<Vec<u8>>,
}

/// A worker's end. Clones are other workers.
pub struct MemoryQueue {
    shared: Arc<Shared>,
    notices: mpsc::UnboundedSender<Vec<u8>>,
    in_hand: Option<Delivery>,
}

/// A server's end, and a worker's to be cloned. The queue ends with the server's end.
pub fn in_memory() -> (MemoryBoard, MemoryQueue) {
    let shared = Arc::new(Shared::default());
    let (sender, notices) = mpsc::unbounded_channel();
    let queue = MemoryQueue {
        shared: shared.clone(),
        notices: sender,
        in_hand: None,
    };
    (MemoryBoard { shared, notices }, queue)
}

impl Drop for MemoryBoard {
    fn drop(&mut self) {
        {
            let mut waiting = self.shared.waiting();
            waiting.is_closed = true;
            waiting.tasks.clear();
        }
        self.shared.changed.notify_waiters();
    }
}

impl Clone for MemoryQueue {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            notices: self.notices.clone(),
            in_hand: None,
        }
    }
}

impl Drop for MemoryQueue {
    fn drop(&mut self) {
        if let Some(lost) = self.in_hand.take() {
            let is_redelivered = true;
            self.shared.put(Delivery {
                is_redelivered,
                ..lost
            });
        }
    }
}

#[async_trait(?Send)]
impl TaskBoard for MemoryBoard {
    async fn publish(&mut self, task: &[u8]) -> Result<(), Error> {
        self.shared.put(Delivery {
            task: task.to_owned(),
            is_redelivered: false,
        });
        Ok(())
    }

    async fn notice(&mut self, within: Duration) -> Result<Option<Vec<u8>>, Error> {
        let notice = tokio::time::timeout(within, self.notices.recv()).await;
        match notice {
            Ok(Some(notice)) => Ok(Some(notice)),
            Err(_) => Ok(None),
            // Without workers nothing will come, but the caller asked for that long a wait.
            Ok(None) => {
                tokio::time::sleep(within).await;
                Ok(None)
            }
        }
    }
}

#[async_trait(?Send)]
impl TaskQueue for MemoryQueue {
    async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Before the look, so that nothing is missed between the two.
            changed.as_mut().enable();
            {
                let mut waiting = self.shared.waiting();
                if let Some(delivery) = waiting.tasks.pop_front() {
                    if !waiting.tasks.is_empty() {
                        self.shared.changed.notify_one();
                    }
                    self.in_hand = Some(delivery.clone());
                    return Ok(Some(delivery));
                }
                if waiting.is_closed {
                    return Ok(None);
                }
            }
            changed.await;
        }
    }

    async fn keep(&mut self) -> Result<(), Error> {
        self.in_hand = None;
        Ok(())
    }

    async fn finish(&mut self, notice: &[u8]) -> Result<(), Error> {
        self.in_hand = None;
        // A server that has gone finds the result in the store when it comes back.
        let _ = self.notices.send(notice.to_owned());
        Ok(())
    }

    async fn reject(&mut self) -> Result<(), Error> {
        self.in_hand = None;
        Ok(())
    }
}
