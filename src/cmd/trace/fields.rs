//! The fields of events, as they come.

use std::fmt::Debug;

use tracing::field::{Field, Visit};

/// The fields of one event.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) reader: String,
    pub(super) direction: String,
    pub(super) kind: String,
    pub(super) bytes: Vec<u8>,
    pub(super) event: String,
    pub(super) class: String,
    pub(super) category: String,
    pub(super) label: String,
    /// Which of several regions of one name.
    pub(super) msg: String,
    /// A line that tells of no program.
    pub(super) note: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) pid: u64,
    pub(super) code: i64,
    pub(super) use_shell: bool,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let target = match field.name() {
            "reader" => &mut self.reader,
            "direction" => &mut self.direction,
            "kind" => &mut self.kind,
            "event" => &mut self.event,
            "class" => &mut self.class,
            "category" => &mut self.category,
            "label" => &mut self.label,
            "msg" => &mut self.msg,
            "note" => &mut self.note,
            "key" => &mut self.key,
            "value" => &mut self.value,
            _ => return,
        };
        value.clone_into(target);
    }

    fn record_bool(&mut self, _field: &Field, value: bool) {
        self.use_shell = value;
    }

    fn record_u64(&mut self, _field: &Field, value: u64) {
        self.pid = value;
    }

    fn record_i64(&mut self, _field: &Field, value: i64) {
        self.code = value;
    }

    fn record_bytes(&mut self, _field: &Field, value: &[u8]) {
        value.clone_into(&mut self.bytes);
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}
