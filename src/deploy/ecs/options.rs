//! Options of a run on Amazon ECS.

/// Places of a run on ECS, as far as a person has named them.
#[derive(Clone, Debug, Default)]
pub struct EcsOptions {
    /// Stack's name; None keeps the run's present one.
    pub stack: Option<String>,
    /// Neuron image; None keeps the run's present one.
    pub image: Option<String>,
    /// URL of an emulated DynamoDB; None for the run's present one, or the region's own.
    pub endpoint: Option<String>,
}
