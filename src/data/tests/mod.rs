//! Tests of the data sources.

mod csv;
mod csv_dates;
mod csv_formats;
mod csv_problems;
mod csv_random;
mod csv_suspects;
mod digits;
mod encode;
mod examples;
mod fetch;
mod idx;
mod images;
mod images_random;
mod mnist;
mod npz;
mod own;
mod prepared;
