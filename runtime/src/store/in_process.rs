//! A service of AWS in this process: the SDK's own client, with a connector that hands each request to a
//! function instead of to a socket.

use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;

/// The header that names the operation.
pub(super) const TARGET_HEADER: &str = "x-amz-target";

pub(super) const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Status and JSON of the answer to a request with a target (`DynamoDB_20120810.GetItem`) and a body.
type Answer = dyn Fn(&str, &[u8]) -> (u16, String) + Send + Sync;

/// HTTP client whose requests `answer` answers, in this process. It may block.
pub(super) fn http(
    answer: impl Fn(&str, &[u8]) -> (u16, String) + Send + Sync + 'static,
) -> SharedHttpClient {
    SharedHttpClient::new(InProcess(Arc::new(answer)))
}

/// The connector, and the client that always selects it.
#[derive(Clone)]
struct InProcess(Arc<Answer>);

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            tokio::task::spawn_blocking(move || respond(&*answer, &request))
                .await
                .map_err(|error| ConnectorError::other(error.into(), None))?
        })
    }
}

fn respond(answer: &Answer, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let target = request.headers().get(TARGET_HEADER).unwrap_or_default();
    let body = request
        .body()
        .bytes()
        .ok_or_else(|| ConnectorError::user("the request's body is a stream".into()))?;
    let (status, json) = answer(target, body);
    let status = status
        .try_into()
        .map_err(|error| ConnectorError::other(Box::new(error), None))?;
    let mut response = HttpResponse::new(status, json.into());
    response.headers_mut().insert("content-type", CONTENT_TYPE);
    Ok(response)
}
