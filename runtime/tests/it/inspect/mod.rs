//! The HTTP server of every actor, over real sockets, in front of real actors.

mod access;
mod answers;
mod limits;
mod metrics;
mod page;

mod http;
mod run;
