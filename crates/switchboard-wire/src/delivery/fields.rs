//! Fields of JSON objects, by type.

use serde_json::{Map, Value};

use super::decoder::DeliveryError;

/// A text that may be missing.
pub(super) fn text(
    object: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<String>, DeliveryError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let read = |value| text(value).ok_or(DeliveryError::Field { field });
    object.get(field).map(read).transpose()
}

/// A text that must be there.
pub(super) fn must(
    object: &Map<String, Value>,
    field: &'static str,
) -> Result<String, DeliveryError> {
    text(object, field)?.ok_or(DeliveryError::Field { field })
}

/// A whole number from 0 that may be missing.
pub(super) fn number(
    object: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<u64>, DeliveryError> {
    let read = |value: &Value| value.as_u64().ok_or(DeliveryError::Field { field });
    object.get(field).map(read).transpose()
}

/// A whole number from 0 that must be there.
pub(super) fn must_number(
    object: &Map<String, Value>,
    field: &'static str,
) -> Result<u64, DeliveryError> {
    number(object, field)?.ok_or(DeliveryError::Field { field })
}
