//! Tests of the data sources.

mod csv;
mod digits;
mod encode;
mod fetch;
mod idx;
mod mnist;
