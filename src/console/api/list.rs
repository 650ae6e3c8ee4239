//! All runs, each asked by itself: one whose store does not answer holds none of the others up.

use std::future::Future;
use std::time::Duration;

use actix_web::web::{Data, Json};
use futures_util::stream::{self, StreamExt};
use schemars::JsonSchema;
use serde::Serialize;

use super::summary::{RunSummary, summary, unanswered};
use crate::console::Console;
use crate::console::problem::Problem;
use crate::run::Run;

/// Runs that are asked at once.
const AT_ONCE: usize = 8;
/// Time in which a run has to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// All runs.
#[derive(JsonSchema, Serialize)]
pub struct Runs {
    runs: Vec<RunSummary>,
}

/// Every run of the directory of runs, and those that have not come up.
///
/// # Errors
/// When the directory cannot be read.
pub async fn list(console: Data<Console>) -> Result<Json<Runs>, Problem> {
    let all = console.clone();
    let runs = console.apart(async move |config| {
        let mut names = Run::names(&config)?;
        names.extend(all.commands.created());
        names.sort();
        names.dedup();
        let ask = |name| summary(name, &all.commands, &config);
        Ok(answers(&names, ANSWERS_WITHIN, ask).await)
    });
    Ok(Json(Runs { runs: runs.await? }))
}

/// The answers of all runs, in order.
async fn answers<'a, F>(
    names: &'a [String],
    within: Duration,
    ask: impl Fn(&'a str) -> F,
) -> Vec<RunSummary>
where
    F: Future<Output = Result<RunSummary, Problem>>,
{
    let ask = |name: &'a String| {
        let answer = tokio::time::timeout(within, ask(name));
        async move {
            match answer.await {
                // One that is gone meanwhile is no run any more.
                Ok(answer) => answer.ok(),
                Err(_) => Some(unanswered(name, within)),
            }
        }
    };
    let answers = stream::iter(names).map(ask).buffered(AT_ONCE);
    let answers: Vec<Option<RunSummary>> = answers.collect().await;
    answers.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::commands::CommandState;

    #[test]
    fn a_run_that_does_not_answer_holds_none_of_the_others_up() {
        let names: Vec<String> = (0..3 * AT_ONCE).map(|n| format!("run-{n:02}")).collect();
        let ask = async |name: String| {
            if name.ends_with('3') {
                std::future::pending::<()>().await;
            }
            Ok(RunSummary::of_command(&name, "local", CommandState::Over))
        };
        let within = Duration::from_millis(10);
        let answers = answers(&names, within, |name| ask(name.to_owned()));
        let answers = crate::block_on(answers);
        let found: Vec<&str> = answers.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(found, names);
        for run in answers {
            let state = if run.name.ends_with('3') {
                "unreadable"
            } else {
                "stopped"
            };
            assert_eq!(run.state, state, "{}", run.name);
        }
    }
}
