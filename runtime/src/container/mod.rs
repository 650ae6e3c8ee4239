//! The life of a container: its boot, its sessions, its end.
//!
//! | module | responsibility |
//! |---|---|
//! | [`process`] | the program's roles, and how a process is told to end |
//! | `boot` | what an actor finds out before its first session |
//! | [`life`] | an actor from its boot to its end, through sessions |
//! | [`source`] | where an actor has its batches from |
//! | `ending` | how a run has ended, in the log |
//! | `pauses` | pauses before something is tried again |
//! | `errands` | short tasks beside the actors: probe, record, receive, unwire |

mod boot;
mod ending;
mod errands;
pub mod life;
mod pauses;
pub mod process;
pub mod source;
