//! Answers of a run's network at its last commit: evaluation, predictions, one sample with the responses of every
//! layer; its weights as a file.

use std::fs;
use std::io;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use cuttlefish_core::data::Part;
use ndarray::Array2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::methods::{get, post, resource};
use crate::console::Console;
use crate::console::problem::Problem;
use crate::export::WeightsFormat;
use crate::layout::Layout;
use crate::run::Run;
use crate::run::predict::{EncodedRows, RowPlaces, read_rows};

/// Rows of one request for predictions.
const MAX_ROWS: usize = 10_000;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/runs/{run}/evaluate", [post().to(evaluate)]))
        .service(resource("/runs/{run}/predict", [post().to(predict)]))
        .service(resource("/runs/{run}/samples/{index}", [get().to(sample)]))
        .service(resource("/runs/{run}/responses", [post().to(respond)]))
        .service(resource("/runs/{run}/export", [get().to(export)]));
}

/// A part of a run's data.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartOf {
    #[serde(default = "test")]
    #[schemars(with = "PartName")]
    part: Part,
}

/// Words of the parts.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is all that is wanted")]
enum PartName {
    Train,
    Validation,
    Test,
}

fn test() -> Part {
    Part::Test
}

async fn evaluate(
    console: Data<Console>,
    run: Path<String>,
    request: Json<PartOf>,
) -> Result<Json<Value>, Problem> {
    let part = request.part;
    let evaluation = console.computing(async move |config| {
        let evaluation = Run::open(&config, &run)
            .await?
            .evaluate(part, &config)
            .await?;
        serde_json::to_value(&evaluation.evaluation).map_err(Problem::unprocessable)
    });
    let mut document = evaluation.await?;
    document["part"] = json!(part.word());
    Ok(Json(document))
}

/// Rows that are to be answered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    rows: Vec<Row>,
}

/// A row: its values as in training, or the cells of a table by column.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Row {
    Values(Vec<f32>),
    Cells(serde_json::Map<String, Value>),
}

/// Answers to rows.
#[derive(JsonSchema, Serialize)]
pub struct Answers {
    predictions: Vec<Value>,
    warnings: Vec<String>,
}

async fn predict(
    console: Data<Console>,
    run: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Json<Answers>, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.starts_with("application/json");
    let answers = console.computing(async move |config| {
        let rows = match is_json {
            true => Some(serde_json::from_slice::<Rows>(&body).map_err(|error| {
                Problem::bad_request(format_args!(
                    "{error} (`rows` is a list of lists of numbers, or of objects with a value a column)"
                ))
            })?),
            false => None,
        };
        let run = Run::open(&config, &run).await?;
        let saved = run.saved().await?;
        let encoded = match rows {
            Some(Rows { rows }) => match cells_or_values(rows)? {
                Given::Table(text) => from_file(text.as_bytes(), &saved.record)?,
                Given::Values(values) => EncodedRows {
                    places: RowPlaces {
                        files: Vec::new(),
                        rows: (0..values.nrows() as u64).collect(),
                        lines: None,
                    },
                    values,
                    unseen: Vec::new(),
                },
            },
            None => from_file(&body, &saved.record)?,
        };
        let warnings = encoded.unseen.iter().map(|(column, count)| {
            format!(
                "column `{column}`: {count} cells have a category that training never saw; they count as none of \
                 its categories"
            )
        });
        Ok(Answers {
            warnings: warnings.collect(),
            predictions: run.predict_rows(&saved, &encoded).await?.documents(),
        })
    });
    Ok(Json(answers.await?))
}

/// Rows of a request as they are read: a table, or values as in training.
enum Given {
    Table(String),
    Values(Array2<f32>),
}

fn cells_or_values(rows: Vec<Row>) -> Result<Given, Problem> {
    if rows.is_empty() || rows.len() > MAX_ROWS {
        return Err(Problem::unprocessable(format_args!(
            "a request has 1 to {MAX_ROWS} rows, and this one has {}",
            rows.len()
        )));
    }
    let mixed = || Problem::unprocessable("every row has to be of the same kind and length");
    match &rows[0] {
        Row::Values(first) => {
            let width = first.len();
            let mut values = Vec::with_capacity(rows.len() * width);
            for row in &rows {
                match row {
                    Row::Values(row) if row.len() == width => values.extend(row),
                    _ => return Err(mixed()),
                }
            }
            let values = Array2::from_shape_vec((rows.len(), width), values);
            Ok(Given::Values(values.map_err(|_| mixed())?))
        }
        Row::Cells(first) => {
            let columns: Vec<&String> = first.keys().collect();
            let mut writer = csv::Writer::from_writer(Vec::new());
            let unwritable = |error: csv::Error| Problem::unprocessable(error);
            writer.write_record(&columns).map_err(unwritable)?;
            for row in &rows {
                let Row::Cells(cells) = row else {
                    return Err(mixed());
                };
                if cells.len() != columns.len() {
                    return Err(mixed());
                }
                let cell = |column: &&String| match cells.get(*column) {
                    Some(Value::String(text)) => Ok(text.clone()),
                    Some(Value::Null) => Ok(String::new()),
                    Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
                    _ => Err(mixed()),
                };
                let cells: Vec<String> = columns.iter().map(cell).collect::<Result<_, _>>()?;
                writer.write_record(&cells).map_err(unwritable)?;
            }
            let bytes = writer.into_inner().unwrap_or_default();
            Ok(Given::Table(String::from_utf8_lossy(&bytes).into_owned()))
        }
    }
}

/// Rows of a file's bytes, of any kind that `predict` reads.
fn from_file(bytes: &[u8], record: &crate::record::Record) -> Result<EncodedRows, Problem> {
    let folder = tempfile::tempdir().map_err(unwritten)?;
    let path = folder.path().join("rows");
    fs::write(&path, bytes).map_err(unwritten)?;
    read_rows(&path, record).map_err(|error| {
        let mut problem = Problem::from(error);
        // The name of a file that only we know says nothing.
        problem.rename(&path, "the rows");
        problem
    })
}

fn unwritten(error: io::Error) -> Problem {
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, error)
}

/// A row of a run's data.
#[derive(JsonSchema, Serialize)]
pub struct SampleDocument {
    part: &'static str,
    index: usize,
    rows: usize,
    values: Vec<f32>,
    image: Option<[usize; 3]>,
    label: String,
}

async fn sample(
    console: Data<Console>,
    path: Path<(String, usize)>,
    query: Query<PartOf>,
) -> Result<Json<SampleDocument>, Problem> {
    let (name, index) = path.into_inner();
    let part = query.part;
    let sample = console.computing(async move |config| {
        let run = Run::open(&config, &name).await?;
        Ok(run.sample(part, index, &config).await?)
    });
    let sample = sample.await?;
    Ok(Json(SampleDocument {
        part: part.word(),
        index,
        rows: sample.rows,
        values: sample.values,
        image: sample.image,
        label: sample.label,
    }))
}

/// A row, as in training.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleValues {
    values: Vec<f32>,
}

/// What each layer says of a row.
#[derive(JsonSchema, Serialize)]
pub struct Responses {
    layers: Vec<LayerDocument>,
    /// The answer, as one of the predictions.
    answer: Option<Value>,
}

#[derive(JsonSchema, Serialize)]
struct LayerDocument {
    name: String,
    /// `[neurons]`, or `[filters, height, width]`.
    shape: Vec<usize>,
    activations: Vec<f32>,
}

async fn respond(
    console: Data<Console>,
    run: Path<String>,
    request: Json<SampleValues>,
) -> Result<Json<Responses>, Problem> {
    let values = request.into_inner().values;
    let responses = console.computing(async move |config| {
        let run = Run::open(&config, &run).await?;
        let responses = run.responses(&values).await?;
        let layers = responses.layers.into_iter().map(|layer| LayerDocument {
            name: layer.name,
            shape: layer.shape,
            activations: layer.activations,
        });
        Ok(Responses {
            layers: layers.collect(),
            answer: responses.answer.documents().into_iter().next(),
        })
    });
    Ok(Json(responses.await?))
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FormatName {
    #[default]
    Safetensors,
    Npz,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum LayoutName {
    #[default]
    Keras,
    Torch,
}

/// Form of the weights that are asked for.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
pub struct ExportQuery {
    #[serde(default)]
    format: FormatName,
    #[serde(default)]
    layout: LayoutName,
}

async fn export(
    console: Data<Console>,
    run: Path<String>,
    query: Query<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    let (format, end) = match query.format {
        FormatName::Safetensors => (WeightsFormat::Safetensors, "safetensors"),
        FormatName::Npz => (WeightsFormat::Npz, "npz"),
    };
    let layout = match query.layout {
        LayoutName::Keras => Layout::Keras,
        LayoutName::Torch => Layout::Torch,
    };
    let file = format!("{run}.{end}");
    let bytes = console
        .computing(async move |config| {
            let folder = tempfile::tempdir().map_err(unwritten)?;
            let path = folder.path().join("weights");
            let run = Run::open(&config, &run).await?;
            run.export(&path, (format, layout), false).await?;
            fs::read(&path).map_err(unwritten)
        })
        .await?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{file}\""),
        ))
        .body(bytes))
}
