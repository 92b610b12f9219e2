//! Converts values to JSON, within the limits of the store.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter};

use super::limits::{FIELD_BYTES_MAX, FIELD_DEPTH_MAX};
use crate::error::{Error, Problem, Result};

/// Writes a value as JSON. It stops at the limits for depth and length, whatever the value serialises to.
pub(crate) fn json_text(value: &impl Serialize, bytes_max: usize) -> Result<String, Problem> {
    let mut out = Bounded { bytes: Vec::new(), bytes_max };
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Nesting(0));
    value.serialize(&mut serializer).map_err(|error| match error.io_error_kind() {
        Some(io::ErrorKind::FileTooLarge) => Problem::TooLong { bytes: bytes_max + 1, limit: bytes_max },
        Some(_) => Problem::TooDeep { limit: FIELD_DEPTH_MAX },
        None => Problem::NotJson(error.to_string()),
    })?;
    String::from_utf8(out.bytes).map_err(|error| Problem::NotJson(error.to_string()))
}

pub(super) fn to_json(value: &impl Serialize, bytes_max: usize) -> Result<Value, Problem> {
    serde_json::from_str(&json_text(value, bytes_max)?).map_err(|error| Problem::NotJson(error.to_string()))
}

pub(super) fn check_name(name: &str, reserved: &[&str]) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("the name of a custom field", Problem::Empty));
    }
    if reserved.contains(&name) {
        return Err(Error::invalid(name.to_owned(), Problem::ReservedName));
    }
    Ok(())
}

pub(super) fn check_value(name: &str, value: &Value) -> Result<()> {
    let bytes = value.to_string().len();
    if bytes > FIELD_BYTES_MAX {
        return Err(Error::invalid(name.to_owned(), Problem::TooLong { bytes, limit: FIELD_BYTES_MAX }));
    }
    Ok(())
}

/// Collects bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The current depth in lists and maps. It stops an endlessly nested value before the value overflows the stack.
struct Nesting(usize);

impl Nesting {
    fn enter(&mut self) -> io::Result<()> {
        self.0 += 1;
        if self.0 > FIELD_DEPTH_MAX { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }
}

impl Formatter for Nesting {
    fn begin_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.enter()?;
        CompactFormatter.begin_array(out)
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0 -= 1;
        CompactFormatter.end_array(out)
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.enter()?;
        CompactFormatter.begin_object(out)
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0 -= 1;
        CompactFormatter.end_object(out)
    }
}
