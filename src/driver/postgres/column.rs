//! Columns on their way from the server: its binary formats become values.
//!
//! The driver asks for binary results only, so each type that a scenario may select is read here; [`is_readable`] is asked
//! when a statement is prepared, so that a column of another type is found before the race.

use std::error::Error;

use jiff::civil::{Date, DateTime, Time, date};
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::{FromSql, Kind, Type};

use crate::value::Value;

type ReadError = Box<dyn Error + Sync + Send>;

/// Whether columns of this type become values.
pub(super) fn is_readable(ty: &Type) -> bool {
    reader(ty).is_some()
}

/// A value that was a column of a row.
pub(super) struct Cell(pub(super) Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, ReadError> {
        read(ty, raw).map(Cell)
    }

    fn from_sql_null(_: &Type) -> Result<Self, ReadError> {
        Ok(Cell(Value::Null))
    }

    /// Whether it can be read was asked when the statement was prepared.
    fn accepts(_: &Type) -> bool {
        true
    }
}

type Reader = fn(&Type, &[u8]) -> Result<Value, ReadError>;

fn read(ty: &Type, raw: &[u8]) -> Result<Value, ReadError> {
    reader(ty).ok_or("there is no value for this type")?(ty, raw)
}

fn reader(ty: &Type) -> Option<Reader> {
    Some(match *ty {
        Type::BOOL => |_, raw| Ok(Value::Bool(i8::from_be_bytes(fixed(raw)?) != 0)),
        Type::INT2 => |_, raw| Ok(Value::Int(i16::from_be_bytes(fixed(raw)?).into())),
        Type::INT4 => |_, raw| Ok(Value::Int(i32::from_be_bytes(fixed(raw)?).into())),
        Type::INT8 => |_, raw| Ok(Value::Int(i64::from_be_bytes(fixed(raw)?))),
        Type::OID | Type::XID | Type::CID => |_, raw| Ok(Value::Int(u32::from_be_bytes(fixed(raw)?).into())),
        Type::XID8 => |_, raw| Ok(Value::Int(u64::from_be_bytes(fixed(raw)?).try_into()?)),
        Type::FLOAT4 => |_, raw| Ok(Value::Float(f32::from_be_bytes(fixed(raw)?).into())),
        Type::FLOAT8 => |_, raw| Ok(Value::Float(f64::from_be_bytes(fixed(raw)?))),
        Type::NUMERIC => |_, raw| numeric(raw),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::UNKNOWN | Type::XML => text,
        Type::UUID => |_, raw| Ok(uuid(fixed(raw)?)),
        Type::JSON => |_, raw| json(raw),
        Type::JSONB => |_, raw| match raw {
            [1, document @ ..] => json(document),
            _ => Err("its jsonb format is not version 1".into()),
        },
        Type::TIMESTAMP => |_, raw| timestamp(i64::from_be_bytes(fixed(raw)?)),
        Type::TIMESTAMPTZ => |_, raw| timestamp_with_zone(i64::from_be_bytes(fixed(raw)?)),
        Type::DATE => |_, raw| day(i32::from_be_bytes(fixed(raw)?)),
        Type::TIME => |_, raw| Ok(Value::text(time_of_day(i64::from_be_bytes(fixed(raw)?))?)),
        Type::TIMETZ => |_, raw| time_with_zone(raw),
        Type::INTERVAL => |_, raw| interval(raw),
        Type::BYTEA => |_, raw| Ok(hex(raw)),
        Type::VOID => |_, _| Ok(Value::Null),
        _ => match ty.kind() {
            Kind::Enum(_) => text,
            Kind::Simple if ty.name() == "citext" => text,
            Kind::Domain(base) if is_readable(base) => |ty, raw| match ty.kind() {
                Kind::Domain(base) => read(base, raw),
                _ => unreachable!("this reader is chosen for domains"),
            },
            Kind::Array(member) if is_readable(member) => |ty, raw| match ty.kind() {
                Kind::Array(member) => array(member, raw),
                _ => unreachable!("this reader is chosen for arrays"),
            },
            _ => return None,
        },
    })
}

fn fixed<const N: usize>(raw: &[u8]) -> Result<[u8; N], ReadError> {
    raw.try_into().map_err(|_| format!("{} bytes where {N} were due", raw.len()).into())
}

/// Takes `N` bytes from the front.
fn take<const N: usize>(raw: &mut &[u8]) -> Result<[u8; N], ReadError> {
    let (front, rest) = raw.split_first_chunk().ok_or("it ends too early")?;
    *raw = rest;
    Ok(*front)
}

fn text(_: &Type, raw: &[u8]) -> Result<Value, ReadError> {
    Ok(Value::text(std::str::from_utf8(raw)?))
}

fn json(raw: &[u8]) -> Result<Value, ReadError> {
    Ok(Value::from_json(&serde_json::from_slice(raw)?))
}

fn hex(raw: &[u8]) -> Value {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = raw.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)]));
    Value::text(r"\x".chars().chain(digits).collect::<String>())
}

fn uuid(raw: [u8; 16]) -> Value {
    let digits = format!("{:032x}", u128::from_be_bytes(raw));
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Value::text(groups.join("-"))
}

/// Digits in base 10 000 around a decimal point. What has no digits behind the point, such as the sum of a `bigint` column,
/// becomes an integer where it fits: by the scale and not by the value, so that a column is of one type.
fn numeric(mut raw: &[u8]) -> Result<Value, ReadError> {
    let count = i16::from_be_bytes(take(&mut raw)?);
    let weight = i16::from_be_bytes(take(&mut raw)?);
    let sign = u16::from_be_bytes(take(&mut raw)?);
    let scale = u16::from_be_bytes(take(&mut raw)?);
    match sign {
        0x0000 | 0x4000 => {}
        0xC000 => return Ok(Value::Float(f64::NAN)),
        0xD000 => return Ok(Value::Float(f64::INFINITY)),
        0xF000 => return Ok(Value::Float(f64::NEG_INFINITY)),
        _ => return Err(format!("its numeric sign is {sign:#06x}").into()),
    }
    let digits = (0..count).map(|_| Ok(i16::from_be_bytes(take(&mut raw)?))).collect::<Result<Vec<_>, ReadError>>()?;
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);

    let weight = i32::from(weight);
    let mut text = String::from(if sign == 0x4000 { "-" } else { "" });
    text.push_str(&group(if weight < 0 { -1 } else { 0 }).to_string());
    for at in 1..=weight {
        text.push_str(&format!("{:04}", group(at)));
    }
    let scale = usize::from(scale);
    let mut fraction = String::with_capacity(scale + 4);
    for at in weight + 1.. {
        if fraction.len() >= scale {
            break;
        }
        fraction.push_str(&format!("{:04}", group(at)));
    }
    fraction.truncate(scale);
    if scale == 0
        && let Ok(whole) = text.parse()
    {
        return Ok(Value::Int(whole));
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(&fraction);
    }
    Ok(Value::Decimal(text.into()))
}

/// The server counts from here.
const EPOCH: Date = date(2000, 1, 1);
const EPOCH_UNIX_US: i64 = 946_684_800_000_000;

/// Microseconds since the epoch, in no time zone: RFC 3339 without an offset.
fn timestamp(us: i64) -> Result<Value, ReadError> {
    if let Some(infinite) = infinite(us, i64::MIN, i64::MAX) {
        return Ok(infinite);
    }
    let moment: DateTime = EPOCH.to_datetime(Time::midnight()).checked_add(SignedDuration::from_micros(us))?;
    Ok(Value::text(moment.to_string()))
}

fn timestamp_with_zone(us: i64) -> Result<Value, ReadError> {
    if let Some(infinite) = infinite(us, i64::MIN, i64::MAX) {
        return Ok(infinite);
    }
    let unix_us = us.checked_add(EPOCH_UNIX_US).ok_or("it is out of range")?;
    Ok(Value::text(Timestamp::from_microsecond(unix_us)?.to_string()))
}

fn day(days: i32) -> Result<Value, ReadError> {
    if let Some(infinite) = infinite(days, i32::MIN, i32::MAX) {
        return Ok(infinite);
    }
    Ok(Value::text(EPOCH.checked_add(SignedDuration::from_hours(i64::from(days) * 24))?.to_string()))
}

fn infinite<N: PartialEq>(number: N, past: N, future: N) -> Option<Value> {
    let word = if number == past {
        "-infinity"
    } else if number == future {
        "infinity"
    } else {
        return None;
    };
    Some(Value::text(word))
}

fn time_of_day(us: i64) -> Result<String, ReadError> {
    const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;
    if us == DAY_US {
        return Ok("24:00:00".to_owned());
    }
    Ok(Time::midnight().checked_add(SignedDuration::from_micros(us))?.to_string())
}

/// A time of day and the zone's seconds west of Greenwich.
fn time_with_zone(mut raw: &[u8]) -> Result<Value, ReadError> {
    let time = time_of_day(i64::from_be_bytes(take(&mut raw)?))?;
    let west_s = i32::from_be_bytes(take(&mut raw)?);
    let sign = if west_s > 0 { '-' } else { '+' };
    let minutes = west_s.unsigned_abs() / 60;
    let seconds = match west_s.unsigned_abs() % 60 {
        0 => String::new(),
        seconds => format!(":{seconds:02}"),
    };
    Ok(Value::text(format!("{time}{sign}{:02}:{:02}{seconds}", minutes / 60, minutes % 60)))
}

/// ISO 8601, which the server takes back in any of its interval styles.
fn interval(mut raw: &[u8]) -> Result<Value, ReadError> {
    let us = i64::from_be_bytes(take(&mut raw)?);
    let days = i32::from_be_bytes(take(&mut raw)?);
    let months = i32::from_be_bytes(take(&mut raw)?);

    let mut text = String::from("P");
    for (number, unit) in [(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')] {
        if number != 0 {
            text.push_str(&format!("{number}{unit}"));
        }
    }
    if us != 0 || text == "P" {
        let seconds = us / 1_000_000;
        let sign = if us < 0 { "-" } else { "" };
        text.push('T');
        for (number, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
            if number != 0 {
                text.push_str(&format!("{number}{unit}"));
            }
        }
        let fraction = format!(".{:06}", (us % 1_000_000).unsigned_abs());
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        text.push_str(&format!("{sign}{}{fraction}S", (seconds % 60).unsigned_abs()));
    }
    Ok(Value::text(text))
}

/// Dimensions, then the elements in row-major order.
fn array(member: &Type, mut raw: &[u8]) -> Result<Value, ReadError> {
    let dimensions = i32::from_be_bytes(take(&mut raw)?);
    let _has_nulls: [u8; 4] = take(&mut raw)?;
    let _member_oid: [u8; 4] = take(&mut raw)?;
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(i32::from_be_bytes(take(&mut raw)?));
        let _lower_bound: [u8; 4] = take(&mut raw)?;
    }
    if lengths.is_empty() { Ok(Value::list([])) } else { elements(member, &lengths, &mut raw) }
}

fn elements(member: &Type, lengths: &[i32], raw: &mut &[u8]) -> Result<Value, ReadError> {
    let Some((length, inner)) = lengths.split_first() else {
        return match usize::try_from(i32::from_be_bytes(take(raw)?)) {
            Err(_) => Ok(Value::Null),
            Ok(length) => {
                let (element, rest) = raw.split_at_checked(length).ok_or("it ends too early")?;
                *raw = rest;
                read(member, element)
            }
        };
    };
    Ok(Value::List((0..*length).map(|_| elements(member, inner, raw)).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The binary format of `digits`, `scale` of which stand behind the decimal point.
    fn encoded(negative: bool, whole: &str, fraction: &str) -> Vec<u8> {
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let padded = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let groups = format!("{whole}{padded}");
        let mut digits: Vec<i16> =
            groups.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap().parse().unwrap()).collect();
        let mut weight = i16::try_from(whole.len() / 4).unwrap() - 1;
        // The server sends neither leading nor trailing zero groups.
        while digits.first() == Some(&0) {
            digits.remove(0);
            weight -= 1;
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let mut raw = i16::try_from(digits.len()).unwrap().to_be_bytes().to_vec();
        raw.extend(weight.to_be_bytes());
        raw.extend(if negative { 0x4000_u16 } else { 0 }.to_be_bytes());
        raw.extend(u16::try_from(fraction.len()).unwrap().to_be_bytes());
        raw.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
        raw
    }

    proptest! {
        #[test]
        fn numerics_keep_their_exact_text(negative: bool, whole in "0|[1-9][0-9]{0,30}", fraction in "[0-9]{0,25}") {
            let sign = if negative { "-" } else { "" };
            let text = if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
            let wanted = match format!("{sign}{whole}").parse() {
                Ok(whole) if fraction.is_empty() => Value::Int(whole),
                _ => Value::Decimal(text.into()),
            };
            prop_assert_eq!(numeric(&encoded(negative, &whole, &fraction)).unwrap(), wanted);
        }

        #[test]
        fn damaged_columns_are_errors_and_not_panics(raw in proptest::collection::vec(any::<u8>(), 0..40)) {
            for ty in [Type::NUMERIC, Type::INT4_ARRAY, Type::INTERVAL, Type::TIMETZ, Type::JSONB, Type::TIMESTAMPTZ, Type::DATE] {
                let _ = read(&ty, &raw);
            }
        }
    }

    #[test]
    fn types_without_a_value_are_known_before_they_are_read() {
        assert!(is_readable(&Type::INT4_ARRAY));
        for ty in [Type::POINT, Type::INET, Type::RECORD, Type::INT4_RANGE, Type::POINT_ARRAY] {
            assert!(!is_readable(&ty), "{ty}");
        }
    }
}
