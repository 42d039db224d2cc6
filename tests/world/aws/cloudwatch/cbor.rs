//! CBOR on the wire, JSON in the records and in the model: times are CBOR's tag 1 on one side and
//! seconds since 1970 on the other.

use ciborium::value::{Integer, Value as Cbor};
use serde_json::{Map, Number, Value};

/// CBOR's tag for seconds since 1970.
const EPOCH_TIME: u64 = 1;

/// The members that are times.
const TIMES: [&str; 5] = ["Timestamp", "Timestamps", "StartTime", "EndTime", "PeriodStartTime"];

/// Reads a body. An error says what in it has no place in JSON.
pub fn read(body: &[u8]) -> Result<Value, String> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let value = ciborium::from_reader(body).map_err(|error| format!("no CBOR: {error}"))?;
    to_json(value)
}

/// Writes a body, with the members that are times as such.
pub fn write(value: &Value) -> Vec<u8> {
    let mut body = Vec::new();
    ciborium::into_writer(&to_cbor(value, false), &mut body).expect("memory takes every value");
    body
}

fn to_json(value: Cbor) -> Result<Value, String> {
    Ok(match value {
        Cbor::Integer(number) => integer(number)?,
        Cbor::Float(number) => Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| format!("{number} is no number that CloudWatch takes"))?,
        Cbor::Text(text) => Value::String(text),
        Cbor::Bool(yes) => Value::Bool(yes),
        Cbor::Null => Value::Null,
        Cbor::Tag(EPOCH_TIME, seconds) => match *seconds {
            seconds @ (Cbor::Integer(_) | Cbor::Float(_)) => to_json(seconds)?,
            other => return Err(format!("a time that is no number: {other:?}")),
        },
        Cbor::Array(items) => items.into_iter().map(to_json).collect::<Result<_, _>>()?,
        Cbor::Map(members) => {
            Value::Object(members.into_iter().map(member).collect::<Result<Map<_, _>, String>>()?)
        }
        other => return Err(format!("{other:?} has no place in a request")),
    })
}

fn integer(number: Integer) -> Result<Value, String> {
    let number = i64::try_from(number).map_err(|_| "an integer beyond 64 bits")?;
    Ok(Value::from(number))
}

fn member((name, value): (Cbor, Cbor)) -> Result<(String, Value), String> {
    let Cbor::Text(name) = name else {
        return Err(format!("{name:?} is no member's name"));
    };
    Ok((name, to_json(value)?))
}

fn to_cbor(value: &Value, is_time: bool) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(yes) => Cbor::Bool(*yes),
        Value::Number(number) if is_time => {
            Cbor::Tag(EPOCH_TIME, Box::new(Cbor::Float(number.as_f64().unwrap_or_default())))
        }
        Value::Number(number) => match number.as_i64() {
            Some(number) => Cbor::Integer(number.into()),
            None => Cbor::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Array(items) => {
            Cbor::Array(items.iter().map(|item| to_cbor(item, is_time)).collect())
        }
        Value::Object(members) => Cbor::Map(
            members
                .iter()
                .map(|(name, value)| (Cbor::Text(name.clone()), to_cbor(value, is_a_time(name))))
                .collect(),
        ),
    }
}

fn is_a_time(member: &str) -> bool {
    TIMES.contains(&member) || member.ends_with("Timestamp")
}
