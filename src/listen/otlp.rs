//! Requests as parts of what others trace: W3C Trace Context.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes `span` a child of the one that the client names by `traceparent`, if that makes sense.
pub(super) fn adopt(span: &Span, traceparent: &str) {
    let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    // where nobody listens there is nothing to be a part of
    let _adopted = span.set_parent(TraceContextPropagator::new().extract(&headers));
}
