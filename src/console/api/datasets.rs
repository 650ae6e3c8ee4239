//! Data sets: those of the program, and those that people brought.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Payload, Query, ServiceConfig};
use cuttlefish_core::data::Task;
use cuttlefish_core::topology::spec::{
    CsvSource, DateColumn, Decimal, Missing, TextEncoding, Thousands,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::methods::{delete, get, put, resource};
use crate::console::Console;
use crate::console::problem::Problem;
use crate::console::uploads::{DataKind, UploadedData, Uploads};
use crate::data::csv::{self, ColumnPreview, TablePreview};
use crate::data::encoder::{Encoder, Encoding};

/// Rows of a table that a preview shows.
const ROWS: usize = 20;
/// Categories of a column that a preview names.
const CATEGORIES: usize = 20;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/datasets", [get().to(list)]))
        .service(resource(
            "/datasets/{name}",
            [get().to(one), delete().to(remove)],
        ))
        .service(resource("/datasets/{name}/preview", [get().to(preview)]))
        .service(resource(
            "/datasets/{name}/files/{file}",
            [put().to(upload)],
        ));
}

/// All data sets.
#[derive(JsonSchema, Serialize)]
pub struct DataSets {
    datasets: Vec<UploadedData>,
}

fn built_in() -> impl Iterator<Item = UploadedData> {
    ["digits", "mnist", "fashion-mnist"]
        .into_iter()
        .map(|name| UploadedData {
            name: name.to_owned(),
            kind: DataKind::BuiltIn,
            bytes: 0,
            files: Vec::new(),
            data: format!("source: {name}\n"),
        })
}

async fn list(console: Data<Console>) -> Json<DataSets> {
    let uploads = Uploads::new(&console.config);
    Json(DataSets {
        datasets: built_in().chain(uploads.list()).collect(),
    })
}

async fn one(console: Data<Console>, name: Path<String>) -> Result<Json<UploadedData>, Problem> {
    if let Some(data) = built_in().find(|data| data.name == *name) {
        return Ok(Json(data));
    }
    Uploads::new(&console.config).find(&name).map(Json)
}

async fn upload(
    console: Data<Console>,
    path: Path<(String, String)>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let (name, file) = path.into_inner();
    if built_in().any(|data| data.name == name) {
        return Err(Problem::conflict(format_args!(
            "`{name}` is a data set of the program (choose another name)"
        )));
    }
    let uploads = Uploads::new(&console.config);
    let data = uploads.take(&name, &file, body, console.max_upload).await?;
    Ok(HttpResponse::Created().json(data))
}

async fn remove(console: Data<Console>, name: Path<String>) -> Result<HttpResponse, Problem> {
    Uploads::new(&console.config).remove(&name)?;
    Ok(HttpResponse::NoContent().finish())
}

/// How a table is to be read.
#[derive(Deserialize, JsonSchema)]
pub struct Reading {
    file: Option<String>,
    target: Option<String>,
    decimal: Option<Decimal>,
    thousands: Option<Thousands>,
    encoding: Option<TextEncoding>,
    missing: Option<Missing>,
    /// Columns of dates, with commas between them.
    dates: Option<String>,
}

/// A table.
#[derive(JsonSchema, Serialize)]
pub struct Preview {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    n_rows: usize,
    target: Option<String>,
    task: Option<String>,
    /// Why nothing could be trained on it as it is read.
    problem: Option<String>,
}

#[derive(JsonSchema, Serialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    becomes: Option<String>,
    inputs: usize,
    missing: usize,
    distinct: usize,
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    categories: Vec<String>,
}

async fn preview(
    console: Data<Console>,
    name: Path<String>,
    reading: Query<Reading>,
) -> Result<Json<Preview>, Problem> {
    let uploads = Uploads::new(&console.config);
    let data = uploads.find(&name)?;
    if data.kind != DataKind::Csv {
        return Err(Problem::conflict(format_args!(
            "data set `{}` is no table, and only tables have columns to show",
            data.name
        )));
    }
    let file = reading.file.as_deref().unwrap_or(&data.files[0].name);
    let path = uploads.path(&name, file)?;
    let reading = reading.into_inner();
    let preview = console.computing(async move |_| {
        let bytes = crate::data::file::read_file(&path)
            .map_err(|error| Problem::unprocessable(format_args!("failed to {error}")))?;
        read(bytes, &reading)
    });
    Ok(Json(preview.await?))
}

fn read(bytes: Vec<u8>, reading: &Reading) -> Result<Preview, Problem> {
    let mut options = CsvSource::new("", reading.target.clone().unwrap_or_default());
    options.decimal = reading.decimal.unwrap_or_default();
    options.thousands = reading.thousands;
    options.encoding = reading.encoding.unwrap_or_default();
    options.missing = reading.missing.unwrap_or(Missing::Mean);
    let dates = reading.dates.as_deref().unwrap_or_default();
    options.dates = dates
        .split(',')
        .filter(|column| !column.is_empty())
        .map(|column| DateColumn::Name(column.to_owned()))
        .collect();
    let table = csv::preview(&bytes, &options, ROWS)
        .map_err(|problem| Problem::unprocessable(problem.to_string()))?;
    if options.target.is_empty() {
        // What becomes of the others does not depend on it.
        options.target = table
            .columns
            .last()
            .map_or(String::new(), |last| last.name.clone());
    }
    let parsed = csv::parse(bytes, &options);
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let parsed = parsed.ok();
    let encoder = parsed.as_ref().map(|(_, encoder)| encoder);
    let task = parsed.as_ref().map(|(dataset, _)| match &dataset.task {
        Task::Classification { class_names, .. } => format!("{} classes", class_names.len()),
        Task::Regression { .. } => "regression".to_owned(),
    });
    let TablePreview {
        columns,
        rows,
        n_rows,
    } = table;
    let chosen = reading.target.as_deref();
    Ok(Preview {
        columns: columns
            .into_iter()
            .map(|column| describe(column, n_rows, chosen, encoder))
            .collect(),
        rows,
        n_rows,
        target: reading.target.clone(),
        task: task.filter(|_| chosen.is_some()),
        problem: problem.filter(|_| chosen.is_some()),
    })
}

/// A column, and what becomes of it.
fn describe(
    column: ColumnPreview,
    n_rows: usize,
    target: Option<&str>,
    encoder: Option<&Encoder>,
) -> Column {
    let features: Vec<&Encoding> = encoder
        .into_iter()
        .flat_map(|encoder| &encoder.columns)
        .filter(|encoded| encoded.name == column.name)
        .map(|encoded| &encoded.kind)
        .collect();
    let is_target = target == Some(column.name.as_str());
    let (kind, becomes, inputs, categories) = match features.as_slice() {
        _ if is_target => ("target", None, 0, Vec::new()),
        [Encoding::Category { categories, .. }] => (
            "category",
            Some(format!("{} inputs, one a category", categories.len())),
            categories.len(),
            categories.iter().take(CATEGORIES).cloned().collect(),
        ),
        [Encoding::Number { date: None, .. }] => (
            "number",
            Some("1 input, standardised".to_owned()),
            1,
            Vec::new(),
        ),
        [] if column.numbers > 0 && column.numbers + column.missing == n_rows => {
            ("number", None, 0, Vec::new())
        }
        [] => ("category", None, 0, Vec::new()),
        dates => (
            "date",
            Some(format!("{} inputs, of its dates", dates.len())),
            dates.len(),
            Vec::new(),
        ),
    };
    let is_number = column.numbers > 0 && kind != "category";
    Column {
        kind,
        becomes,
        inputs,
        missing: column.missing,
        distinct: column.distinct,
        min: column.min.filter(|_| is_number),
        max: column.max.filter(|_| is_number),
        mean: column.mean.filter(|_| is_number),
        categories,
        name: column.name,
    }
}
