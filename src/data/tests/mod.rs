//! Tests of the data sources.

mod csv;
mod csv_dates;
mod csv_formats;
mod csv_problems;
mod csv_random;
mod digits;
mod encode;
mod fetch;
mod idx;
mod mnist;
mod prepared;
