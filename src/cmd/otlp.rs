//! The spans of `gitr serve`, for a collector of OpenTelemetry: the feature `otlp`. Where they go is said by the variables
//! that OpenTelemetry has for it, `OTEL_EXPORTER_OTLP_ENDPOINT` above all; nothing is sent where no endpoint is named.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::ui;
use crate::remote::RepoSettings;
use crate::repo::{Config, Environment};
use crate::server::watch::TARGET;
use crate::transport::http::Post;

/// Where all signals go; the path of spans is added to it. OpenTelemetry's "OTLP Exporter Configuration".
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Where spans go.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// How long an export may take, in milliseconds.
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
/// That where nothing is said.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Who we are; where nothing is said, gitr.
const SERVICE: [&str; 2] = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];

/// What the help of `gitr serve` says of it.
pub(super) const HELP: &str = "
spans of requests, for a collector of OpenTelemetry (OTLP as protocol buffers over HTTP):
    OTEL_EXPORTER_OTLP_ENDPOINT           where they go, such as http://localhost:4318; nowhere if not said
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT    the same, with the whole path
    OTEL_EXPORTER_OTLP_HEADERS            <name>=<value>, with commas between them
    OTEL_EXPORTER_OTLP_TIMEOUT            milliseconds until one export is given up
    OTEL_SERVICE_NAME                     who we are
";

/// Who has the spans that were not sent yet.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// What hears of spans; `None` if nobody is to.
pub(super) fn layer<S>(env: &Environment) -> Option<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let said = |name: &str| env.get(name).and_then(|value| value.to_str()).filter(|value| !value.is_empty());
    said(TRACES_ENDPOINT).or(said(ENDPOINT))?;
    let is_off = said("OTEL_SDK_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true"));
    if is_off || said("OTEL_TRACES_EXPORTER") == Some("none") {
        return None;
    }
    let carrier = Carrier { env: env.clone(), patience: patience(env) };
    let exporter =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_http_client(carrier);
    let exporter = match exporter.build() {
        Ok(exporter) => exporter,
        Err(error) => {
            ui::note(format!("warning: spans are not sent: {error}"));
            return None;
        }
    };
    let mut resource = Resource::builder();
    if SERVICE.into_iter().all(|name| said(name).is_none()) {
        resource = resource.with_service_name("gitr");
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let provider = PROVIDER.get_or_init(|| provider);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("gitr")).with_location(false);
    let layer = layer.with_threads(false).with_tracked_inactivity(false);
    Some(layer.with_filter(filter_fn(|metadata| metadata.target() == TARGET)))
}

/// Sends what was not sent yet.
pub(super) fn end() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown()
    {
        ui::note(format!("warning: some spans were not sent: {error}"));
    }
}

fn patience(env: &Environment) -> Duration {
    let said = TIMEOUT.iter().find_map(|name| env.get(name)?.to_str()?.parse().ok());
    said.map_or(TIMEOUT_DEFAULT, Duration::from_millis)
}

/// Carries spans by the client that carries everything: proxies and certificates are those of the environment.
struct Carrier {
    env: Environment,
    patience: Duration,
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the environment may hold secrets
        formatter.debug_struct("Carrier").finish_non_exhaustive()
    }
}

impl Carrier {
    fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let settings = RepoSettings { config: &Config::default(), env: &self.env };
        let post = Post::new(&head.uri.to_string(), &settings, self.patience)?;
        let lines = head
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        let (status, body) = post.send(&lines.collect::<Vec<_>>(), body.to_vec())?;
        Ok(Response::builder().status(status).body(body.into())?)
    }
}

impl HttpClient for Carrier {
    // as a trait of async functions has it that can be made an object
    fn send_bytes<'own, 'made>(
        &'own self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'made>>
    where
        'own: 'made,
        Self: 'made,
    {
        // spans are sent by a thread of their own, which may wait
        Box::pin(std::future::ready(self.carry(request)))
    }
}
