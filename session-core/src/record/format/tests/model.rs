//! Serde's data model: its types, a value of each, and how they are written and read.

use std::cell::RefCell;

use proptest::{collection, num, prelude::*};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::DeserializeSeed,
    ser::{SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple},
    ser::{SerializeTupleStruct, SerializeTupleVariant},
};

use self::reader::Reader;

mod reader;

const NAME: &str = "Name";
const FIELDS: [&str; 4] = ["a", "b", "c", "d"];
const VARIANTS: [&str; 4] = ["A", "B", "C", "D"];

macro_rules! model {
    ($($scalar:ident: $rust:ty)*) => {
        /// A type of the model.
        #[derive(Clone, Debug)]
        pub(crate) enum Type {
            $($scalar,)*
            F32,
            F64,
            Bytes,
            Option(Box<Type>),
            Unit,
            UnitStruct,
            Newtype(Box<Type>),
            Seq(Box<Type>),
            Tuple(Vec<Type>),
            TupleStruct(Vec<Type>),
            Map(Box<Type>, Box<Type>),
            Struct(Vec<Type>),
            Enum(Vec<Variant<Type>>),
        }

        /// A value of a type. Floats are their bits, so that equal means the same.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Value {
            $($scalar($rust),)*
            F32(u32),
            F64(u64),
            Bytes(Vec<u8>),
            None,
            Some(Box<Value>),
            Unit,
            UnitStruct,
            Newtype(Box<Value>),
            Seq(Vec<Value>),
            Tuple(Vec<Value>),
            TupleStruct(Vec<Value>),
            Map(Vec<(Value, Value)>),
            Struct(Vec<Value>),
            Variant(u32, Variant<Value>),
        }

        fn scalar_type() -> impl Strategy<Value = Type> {
            prop_oneof![$(Just(Type::$scalar),)* Just(Type::F32), Just(Type::F64)]
        }

        /// Any value of this type.
        fn value_of(of: &Type) -> BoxedStrategy<Value> {
            match of {
                $(Type::$scalar => any::<$rust>().prop_map(Value::$scalar).boxed(),)*
                Type::F32 => prop_oneof![any::<f32>(), num::f32::ANY].prop_map(|n| Value::F32(n.to_bits())).boxed(),
                Type::F64 => prop_oneof![9 => any::<f64>(), 1 => num::f64::ANY].prop_map(|n| Value::F64(n.to_bits())).boxed(),
                Type::Bytes => collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes).boxed(),
                Type::Option(of) => {
                    prop_oneof![Just(Value::None), value_of(of).prop_map(|value| Value::Some(value.into()))].boxed()
                }
                Type::Unit => Just(Value::Unit).boxed(),
                Type::UnitStruct => Just(Value::UnitStruct).boxed(),
                Type::Newtype(of) => value_of(of).prop_map(|value| Value::Newtype(value.into())).boxed(),
                Type::Seq(of) => collection::vec(value_of(of), 0..4).prop_map(Value::Seq).boxed(),
                Type::Tuple(of) => values_of(of).prop_map(Value::Tuple).boxed(),
                Type::TupleStruct(of) => values_of(of).prop_map(Value::TupleStruct).boxed(),
                Type::Map(key, of) => {
                    collection::vec((value_of(key), value_of(of)), 0..4).prop_map(Value::Map).boxed()
                }
                Type::Struct(of) => values_of(of).prop_map(Value::Struct).boxed(),
                Type::Enum(variants) => (0..variants.len()).prop_flat_map(variant_of(variants)).boxed(),
            }
        }

        impl Serialize for Value {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$scalar(value) => value.serialize(out),)*
                    Self::F32(bits) => out.serialize_f32(f32::from_bits(*bits)),
                    Self::F64(bits) => out.serialize_f64(f64::from_bits(*bits)),
                    other => other.serialize_compound(out),
                }
            }
        }

        impl<'de> DeserializeSeed<'de> for &Type {
            type Value = Value;

            fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
                match self {
                    $(Type::$scalar => Deserialize::deserialize(input).map(Value::$scalar),)*
                    Type::F32 => f32::deserialize(input).map(|number| Value::F32(number.to_bits())),
                    Type::F64 => f64::deserialize(input).map(|number| Value::F64(number.to_bits())),
                    Type::Bytes => input.deserialize_byte_buf(Reader(self)),
                    Type::Option(_) => input.deserialize_option(Reader(self)),
                    Type::Unit => input.deserialize_unit(Reader(self)),
                    Type::UnitStruct => input.deserialize_unit_struct(NAME, Reader(self)),
                    Type::Newtype(_) => input.deserialize_newtype_struct(NAME, Reader(self)),
                    Type::Seq(_) => input.deserialize_seq(Reader(self)),
                    Type::Tuple(of) => input.deserialize_tuple(of.len(), Reader(self)),
                    Type::TupleStruct(of) => input.deserialize_tuple_struct(NAME, of.len(), Reader(self)),
                    Type::Map(..) => input.deserialize_map(Reader(self)),
                    Type::Struct(of) => input.deserialize_struct(NAME, &FIELDS[..of.len()], Reader(self)),
                    Type::Enum(of) => input.deserialize_enum(NAME, &VARIANTS[..of.len()], Reader(self)),
                }
            }
        }
    };
}

model! {
    Bool: bool
    I8: i8 I16: i16 I32: i32 I64: i64 I128: i128
    U8: u8 U16: u16 U32: u32 U64: u64 U128: u128
    Char: char Text: String
}

/// A variant of an enum, with what it holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Variant<T> {
    Unit,
    Newtype(Box<T>),
    Tuple(Vec<T>),
    Struct(Vec<T>),
}

/// Any type with any value of it.
pub(crate) fn typed() -> impl Strategy<Value = (Type, Value)> {
    any_type().prop_flat_map(|of| {
        let value = value_of(&of);
        (Just(of), value)
    })
}

fn any_type() -> impl Strategy<Value = Type> {
    let leaf =
        prop_oneof![4 => scalar_type(), 1 => Just(Type::Bytes), 1 => Just(Type::Unit), 1 => Just(Type::UnitStruct)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let some = || collection::vec(inner.clone(), 0..=FIELDS.len());
        let variant = prop_oneof![
            Just(Variant::Unit),
            boxed().prop_map(Variant::Newtype),
            // A tuple variant of one field is a newtype variant.
            collection::vec(inner.clone(), 2..4).prop_map(Variant::Tuple),
            some().prop_map(Variant::Struct),
        ];
        let key = prop_oneof![4 => scalar_type(), 1 => inner.clone()];
        prop_oneof![
            boxed().prop_map(Type::Option),
            boxed().prop_map(Type::Newtype),
            boxed().prop_map(Type::Seq),
            some().prop_map(Type::Tuple),
            some().prop_map(Type::TupleStruct),
            (key, inner.clone()).prop_map(|(key, value)| Type::Map(key.into(), value.into())),
            some().prop_map(Type::Struct),
            collection::vec(variant, 1..=VARIANTS.len()).prop_map(Type::Enum),
        ]
    })
}

fn values_of(of: &[Type]) -> BoxedStrategy<Vec<Value>> {
    of.iter().map(value_of).collect::<Vec<_>>().boxed()
}

fn variant_of(variants: &[Variant<Type>]) -> impl Fn(usize) -> BoxedStrategy<Value> + use<> {
    let variants = variants.to_vec();
    move |at| {
        let index = u32::try_from(at).unwrap();
        let held = match &variants[at] {
            Variant::Unit => Just(Variant::Unit).boxed(),
            Variant::Newtype(of) => value_of(of).prop_map(|value| Variant::Newtype(value.into())).boxed(),
            Variant::Tuple(of) => values_of(of).prop_map(Variant::Tuple).boxed(),
            Variant::Struct(of) => values_of(of).prop_map(Variant::Struct).boxed(),
        };
        held.prop_map(move |held| Value::Variant(index, held)).boxed()
    }
}

/// Writes each value with a method of the serializer's part, and ends it.
macro_rules! write_all {
    ($part:expr, $method:ident, $values:expr) => {{
        let mut part = $part;
        for value in $values {
            part.$method(value)?;
        }
        part.end()
    }};
    ($part:expr, named $values:expr) => {{
        let mut part = $part;
        for (name, value) in FIELDS.iter().zip($values) {
            part.serialize_field(name, value)?;
        }
        part.end()
    }};
}

impl Value {
    fn serialize_compound<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(bytes) => out.serialize_bytes(bytes),
            Self::None => out.serialize_none(),
            Self::Some(value) => out.serialize_some(value),
            Self::Unit => out.serialize_unit(),
            Self::UnitStruct => out.serialize_unit_struct(NAME),
            Self::Newtype(value) => out.serialize_newtype_struct(NAME, value),
            Self::Seq(of) => write_all!(out.serialize_seq(Some(of.len()))?, serialize_element, of),
            Self::Tuple(of) => write_all!(out.serialize_tuple(of.len())?, serialize_element, of),
            Self::TupleStruct(of) => write_all!(out.serialize_tuple_struct(NAME, of.len())?, serialize_field, of),
            Self::Map(entries) => {
                let mut map = out.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Struct(of) => write_all!(out.serialize_struct(NAME, of.len())?, named of),
            Self::Variant(at, held) => serialize_variant(*at, held, out),
            scalar => unreachable!("{scalar:?} is no compound"),
        }
    }
}

fn serialize_variant<S: Serializer>(at: u32, held: &Variant<Value>, out: S) -> Result<S::Ok, S::Error> {
    let variant = VARIANTS[usize::try_from(at).unwrap()];
    match held {
        Variant::Unit => out.serialize_unit_variant(NAME, at, variant),
        Variant::Newtype(value) => out.serialize_newtype_variant(NAME, at, variant, value),
        Variant::Tuple(of) => {
            write_all!(out.serialize_tuple_variant(NAME, at, variant, of.len())?, serialize_field, of)
        }
        Variant::Struct(of) => write_all!(out.serialize_struct_variant(NAME, at, variant, of.len())?, named of),
    }
}

/// A value that is read as the type that [`reading`] names.
#[derive(Debug)]
pub(crate) struct Typed(pub(crate) Value);

thread_local! {
    static READ_AS: RefCell<Type> = const { RefCell::new(Type::Unit) };
}

/// Lets [`Typed`] be read as this type.
pub(crate) fn reading<T>(of: &Type, read: impl FnOnce() -> T) -> T {
    READ_AS.set(of.clone());
    read()
}

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        READ_AS.with_borrow(|of| of.deserialize(input).map(Self))
    }
}
