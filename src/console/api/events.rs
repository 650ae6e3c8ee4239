//! What happens to a run, as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;

use super::methods::{get, resource};
use crate::console::Console;
use crate::console::problem::Problem;
use crate::console::watch::{Frame, Subscription};
use crate::run_dir::RunDir;

/// Time after which a stream without events says that it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/runs/{run}/events", [get().to(events)]));
}

/// A stream that is being read.
struct Reader {
    subscription: Subscription,
    sent: usize,
    /// Its place among the streams that are open.
    _place: OwnedSemaphorePermit,
}

async fn events(
    console: Data<Console>,
    run: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    RunDir::new(&console.config.runs_dir, &run)?;
    let all = console.clone();
    let name = run.clone();
    // One that does not exist is told at once.
    console
        .apart(async move |config| super::summary::summary(&name, &all.commands, &config).await)
        .await?;
    let place = console.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::new(
            actix_web::http::StatusCode::SERVICE_UNAVAILABLE,
            "too many event streams are open (close some, or try again)",
        )
    })?;
    let last = request.headers().get("Last-Event-ID");
    let last = last.and_then(|id| {
        let (series, number) = id.to_str().ok()?.split_once('-')?;
        Some((u32::from_str_radix(series, 16).ok()?, number.parse().ok()?))
    });
    let subscription = console.watchers.subscribe(
        &run,
        last.unwrap_or_default(),
        &console.commands,
        &console.config,
    );
    let reader = Reader {
        subscription,
        sent: 0,
        _place: place,
    };
    let hello = Bytes::from_static(b"retry: 1000\n\n");
    let frames = stream::unfold((reader, Some(hello)), |(mut reader, hello)| async move {
        let bytes = match hello {
            Some(hello) => hello,
            None => reader.next().await?,
        };
        Some((Ok::<_, actix_web::Error>(bytes), (reader, None)))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(frames))
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.subscription.first.get(self.sent) {
            self.sent += 1;
            return Some(bytes(frame));
        }
        match tokio::time::timeout(ALIVE_EVERY, self.subscription.next.recv()).await {
            Err(_) => Some(Bytes::from_static(b": alive\n\n")),
            Ok(Ok(frame)) => Some(bytes(&frame)),
            // Browsers come back by themselves, and get what is kept of what they have missed.
            Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => None,
        }
    }
}

fn bytes(frame: &Arc<Frame>) -> Bytes {
    let Frame {
        series,
        number,
        event,
        data,
    } = &**frame;
    format!("id: {series:08x}-{number}\nevent: {event}\ndata: {data}\n\n").into()
}
