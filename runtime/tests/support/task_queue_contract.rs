//! Contract of every queue of tasks. A backend passes when each of these functions returns.

use std::time::Duration;

use cuttlefish_runtime::transport::tasks::{TaskBoard, TaskQueue};

/// A server's end, and as many workers' ends as are asked for.
pub trait TaskBackend {
    /// A server's end whose queue is empty.
    async fn board(&self) -> Box<dyn TaskBoard>;

    /// A worker's end of the same queue.
    async fn queue(&self) -> Box<dyn TaskQueue>;
}

const SOON: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_millis(300);

/// The next task of a worker and whether another one was lost with it; `None` if none comes.
async fn next(queue: &mut dyn TaskQueue, within: Duration) -> Option<(String, bool)> {
    let delivery = tokio::time::timeout(within, queue.next())
        .await
        .ok()?
        .unwrap()?;
    Some((
        String::from_utf8(delivery.task).unwrap(),
        delivery.is_redelivered,
    ))
}

async fn notice(board: &mut dyn TaskBoard, within: Duration) -> Option<String> {
    let notice = board.notice(within).await.unwrap()?;
    Some(String::from_utf8(notice).unwrap())
}

fn first(task: &str) -> Option<(String, bool)> {
    Some((task.to_owned(), false))
}

/// Tasks come in their order, one at a time to a worker; notices come back.
pub async fn tasks_go_to_workers_one_at_a_time(backend: &impl TaskBackend) {
    let mut board = backend.board().await;
    let (mut one, mut two) = (backend.queue().await, backend.queue().await);
    board.publish(b"a").await.unwrap();
    assert_eq!(next(&mut *one, SOON).await, first("a"));
    board.publish(b"b").await.unwrap();
    assert_eq!(next(&mut *two, SOON).await, first("b"));
    two.finish(b"b is done").await.unwrap();
    assert_eq!(
        notice(&mut *board, SOON).await.as_deref(),
        Some("b is done")
    );
    one.finish(b"a is done").await.unwrap();
    assert_eq!(
        notice(&mut *board, SOON).await.as_deref(),
        Some("a is done")
    );
    assert_eq!(notice(&mut *board, NEVER).await, None);
}

/// A task whose worker is lost goes to another one, which is told.
pub async fn a_lost_workers_task_goes_to_another(backend: &impl TaskBackend) {
    let mut board = backend.board().await;
    let mut one = backend.queue().await;
    board.publish(b"a").await.unwrap();
    assert_eq!(next(&mut *one, SOON).await, first("a"));
    drop(one);
    let mut two = backend.queue().await;
    assert_eq!(next(&mut *two, SOON).await, Some(("a".to_owned(), true)));
    two.finish(b"done").await.unwrap();
    assert_eq!(notice(&mut *board, SOON).await.as_deref(), Some("done"));
}

/// A kept task is its worker's: no other comes to it meanwhile, and it goes to nobody else if the worker is lost.
pub async fn a_kept_task_is_its_workers(backend: &impl TaskBackend) {
    let mut board = backend.board().await;
    let mut one = backend.queue().await;
    board.publish(b"long").await.unwrap();
    assert_eq!(next(&mut *one, SOON).await, first("long"));
    one.keep().await.unwrap();
    board.publish(b"short").await.unwrap();
    let mut two = backend.queue().await;
    assert_eq!(next(&mut *two, SOON).await, first("short"));
    two.finish(b"short").await.unwrap();
    assert_eq!(notice(&mut *board, SOON).await.as_deref(), Some("short"));
    one.finish(b"long").await.unwrap();
    assert_eq!(notice(&mut *board, SOON).await.as_deref(), Some("long"));
    drop(two);
    board.publish(b"next").await.unwrap();
    // It may have gone to the other worker before that was known to have left.
    let next_task = next(&mut *one, SOON).await.map(|(task, _)| task);
    assert_eq!(next_task.as_deref(), Some("next"));
    one.keep().await.unwrap();
    drop(one);
    let mut three = backend.queue().await;
    assert_eq!(next(&mut *three, NEVER).await, None);
}

/// A task that nobody can work on comes to nobody again.
pub async fn a_rejected_task_is_put_aside(backend: &impl TaskBackend) {
    let mut board = backend.board().await;
    let mut one = backend.queue().await;
    board.publish(b"poison").await.unwrap();
    assert_eq!(next(&mut *one, SOON).await, first("poison"));
    one.reject().await.unwrap();
    assert_eq!(next(&mut *one, NEVER).await, None);
    assert_eq!(notice(&mut *board, NEVER).await, None);
}
