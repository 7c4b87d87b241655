use proptest::prelude::*;

use self::model::{Type, Typed, Value, Variant, typed};
use super::*;

mod model;

/// Every format. A new one does not compile until it is judged below.
const FORMATS: &[Format] = &[
    Format::Json,
    #[cfg(feature = "messagepack")]
    Format::MessagePack,
    #[cfg(feature = "bincode")]
    Format::Bincode,
];

/// Whether the format can give the value back: only then it may be accepted, and then it has to be.
fn can_hold(format: Format, value: &Value) -> bool {
    match format {
        Format::Json => json_can_hold(value),
        #[cfg(feature = "messagepack")]
        Format::MessagePack => !has(value, &|value| matches!(value, Value::Some(value) if is_null(value))),
        #[cfg(feature = "bincode")]
        Format::Bincode => true,
    }
}

/// Whether it is so of the value or of one inside.
#[cfg(feature = "messagepack")]
fn has(value: &Value, is_so: &dyn Fn(&Value) -> bool) -> bool {
    let any = |values: &[Value]| values.iter().any(|value| has(value, is_so));
    is_so(value)
        || match value {
            Value::Some(value) | Value::Newtype(value) | Value::Variant(_, Variant::Newtype(value)) => {
                has(value, is_so)
            }
            Value::Seq(values) | Value::Tuple(values) | Value::TupleStruct(values) | Value::Struct(values) => {
                any(values)
            }
            Value::Variant(_, Variant::Tuple(values) | Variant::Struct(values)) => any(values),
            Value::Map(entries) => entries.iter().any(|(key, value)| has(key, is_so) || has(value, is_so)),
            _ => false,
        }
}

fn json_can_hold(value: &Value) -> bool {
    match value {
        Value::F32(bits) => f32::from_bits(*bits).is_finite(),
        Value::F64(bits) => f64::from_bits(*bits).is_finite(),
        Value::Some(value) => !is_null(value) && json_can_hold(value),
        Value::Newtype(value) | Value::Variant(_, Variant::Newtype(value)) => json_can_hold(value),
        Value::Seq(values) | Value::Tuple(values) | Value::TupleStruct(values) | Value::Struct(values) => {
            values.iter().all(json_can_hold)
        }
        Value::Variant(_, Variant::Tuple(values) | Variant::Struct(values)) => values.iter().all(json_can_hold),
        Value::Map(entries) => {
            entries.iter().all(|(key, value)| is_key(key) && json_can_hold(key) && json_can_hold(value))
        }
        _ => true,
    }
}

fn is_null(value: &Value) -> bool {
    match value {
        Value::None | Value::Unit | Value::UnitStruct => true,
        Value::Some(value) | Value::Newtype(value) => is_null(value),
        _ => false,
    }
}

/// Keys of JSON are strings.
fn is_key(value: &Value) -> bool {
    match value {
        Value::Some(value) | Value::Newtype(value) => is_key(value),
        Value::Bytes(_) | Value::None | Value::Unit | Value::UnitStruct => false,
        Value::Seq(_) | Value::Tuple(_) | Value::TupleStruct(_) | Value::Map(_) | Value::Struct(_) => false,
        Value::Variant(_, variant) => *variant == Variant::Unit,
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_accepted_is_read_back_equal_and_written_again_the_same((of, value) in typed()) {
        for &format in FORMATS {
            match format.encode(b"n", &value) {
                Ok(encoded) => {
                    let read = model::reading(&of, || decode::<Typed>(b"key", &encoded));
                    prop_assert_eq!(&read.unwrap().0, &value);
                    prop_assert_eq!(format.encode(b"n", &value).unwrap(), encoded);
                    prop_assert!(can_hold(format, &value));
                }
                Err(error) => prop_assert!(!can_hold(format, &value), "{error:?}"),
            }
        }
    }
}

/// A type and a value that holds another, and how many levels of JSON that takes.
type Nesting = (u32, fn(Type) -> Type, fn(Value) -> Value);

const NESTINGS: [Nesting; 10] = [
    (0, |of| Type::Newtype(of.into()), |value| Value::Newtype(value.into())),
    (0, |of| Type::Option(of.into()), |value| Value::Some(value.into())),
    (1, |of| Type::Seq(of.into()), |value| Value::Seq(vec![value])),
    (1, |of| Type::Tuple(vec![of]), |value| Value::Tuple(vec![value])),
    (1, |of| Type::TupleStruct(vec![of]), |value| Value::TupleStruct(vec![value])),
    (1, |of| Type::Map(Type::Bool.into(), of.into()), |value| Value::Map(vec![(Value::Bool(true), value)])),
    (1, |of| Type::Struct(vec![of]), |value| Value::Struct(vec![value])),
    (1, |of| Type::Enum(vec![Variant::Newtype(of.into())]), |value| Value::Variant(0, Variant::Newtype(value.into()))),
    (2, |of| Type::Enum(vec![Variant::Tuple(vec![of])]), |value| Value::Variant(0, Variant::Tuple(vec![value]))),
    (2, |of| Type::Enum(vec![Variant::Struct(vec![of])]), |value| Value::Variant(0, Variant::Struct(vec![value]))),
];

#[test]
fn values_of_every_kind_may_be_nested_100_levels_and_no_deeper() {
    for (format, (levels, of, value)) in FORMATS.iter().flat_map(|format| NESTINGS.map(|nesting| (*format, nesting))) {
        for depth in [1, 49, 50, 51, 99, 100, 101, 120, 140] {
            // In the middle, bytes: JSON has one more level for them.
            let most = if format == Format::Json { 99 } else { 100 };
            let nested = (0..depth).fold(Value::Bytes(vec![7]), |inner, _| value(inner));
            let of = (0..depth).fold(Type::Bytes, |inner, _| of(inner));
            let is_accepted = match format.encode(b"n", &nested) {
                Ok(encoded) => {
                    let read = model::reading(&of, || decode::<Typed>(b"key", &encoded));
                    assert_eq!(read.unwrap().0, nested);
                    true
                }
                Err(_) => false,
            };
            assert_eq!(is_accepted, levels * depth <= most, "{format:?}: {depth} times {nested:.80?}");
        }
    }
}

#[test]
fn each_value_is_read_in_the_format_it_was_written_in() {
    for format in FORMATS {
        let encoded = format.encode(b"n", "text").unwrap();
        assert_eq!(decode::<String>(b"n", &encoded).unwrap(), "text", "{format:?}");
    }
    let error = decode::<String>(b"n", &[0xee, 1]).unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
}

#[test]
fn a_value_of_another_type_is_an_error_and_no_panic() {
    for format in FORMATS {
        for huge in [u64::MAX, u64::MAX / 2, 1 << 40, 1 << 21] {
            let encoded = format.encode(b"n", &huge).unwrap();
            assert!(decode::<String>(b"n", &encoded).is_err(), "{format:?} {huge}");
            assert!(decode::<Vec<u64>>(b"n", &encoded).is_err(), "{format:?} {huge}");
        }
        let two = format.encode(b"n", &(1, 2)).unwrap();
        assert!(decode::<u8>(b"n", &two).is_err(), "{format:?}: bytes follow");
    }
}
