//! Parts of a run that are removed one after the other, whatever becomes of the others.

use crate::attempts::{Retry, Retryable, for_each};
use crate::deploy::Error;
use crate::store::{self, DynamoStore, Store};
use crate::transport::amqp;

/// Removes what a run has in a store; a table that is gone is no error.
///
/// # Errors
/// When the store refuses, also when it is asked again.
pub(super) async fn remove_items(store: &DynamoStore) -> Result<(), Error> {
    let remove = |()| async move {
        match store.remove_run().await {
            Ok(_) | Err(store::Error::NoTable { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    };
    Ok(only(
        for_each(vec![()], 1, remove, |()| {}, &|| true).await,
    )?)
}

/// Outcome of the only item.
pub(super) fn only<E>(left: Vec<((), E)>) -> Result<(), E> {
    left.into_iter()
        .next()
        .map_or(Ok(()), |((), error)| Err(error))
}

/// Outcome of all parts of a run.
///
/// # Errors
/// Names every part that could not be removed.
pub(super) fn all_removed(
    parts: impl IntoIterator<Item = Result<(), Error>>,
    run: &str,
) -> Result<(), Error> {
    let left = parts.into_iter().filter_map(Result::err);
    let left = left.map(|error| error.to_string());
    match left.reduce(|one, other| format!("{one}; {other}")) {
        Some(left) => Err(Error::Remains {
            run: run.to_owned(),
            left,
        }),
        None => Ok(()),
    }
}

impl Retryable for store::Error {
    fn retry(&self) -> Retry {
        match self.retryable() {
            true => Retry::Later,
            false => Retry::Never,
        }
    }

    fn reason(&self) -> String {
        self.to_string()
    }
}

impl Retryable for amqp::Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Management(_) | Self::Timeout { .. } | Self::Broker(_) | Self::Lost(_) => {
                Retry::Later
            }
            // Tried with patience of its own.
            _ => Retry::Never,
        }
    }

    fn reason(&self) -> String {
        self.to_string()
    }
}
