//! Tests of the data sources.

mod csv;
mod csv_problems;
mod digits;
mod encode;
mod fetch;
mod idx;
mod mnist;
mod prepared;
