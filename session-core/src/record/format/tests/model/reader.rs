//! How what is no scalar is read.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor},
};

use super::{FIELDS, Type, VARIANTS, Value, Variant};

/// Reads what is no scalar.
pub(super) struct Reader<'a>(pub(super) &'a Type);

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        let Type::Option(of) = self.0 else { return Err(de::Error::custom("Some")) };
        of.deserialize(input).map(|value| Value::Some(value.into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        match self.0 {
            Type::UnitStruct => Ok(Value::UnitStruct),
            Type::Option(_) => Ok(Value::None),
            _ => Ok(Value::Unit),
        }
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        let Type::Newtype(of) = self.0 else { return Err(de::Error::custom("a newtype")) };
        of.deserialize(input).map(|value| Value::Newtype(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        match self.0 {
            Type::Bytes => elements(&Type::U8, input).map(|bytes| {
                Value::Bytes(bytes.into_iter().map(|byte| if let Value::U8(byte) = byte { byte } else { 0 }).collect())
            }),
            Type::Seq(of) => elements(of, input).map(Value::Seq),
            Type::Tuple(of) => each(of, &mut input).map(Value::Tuple),
            Type::TupleStruct(of) => each(of, &mut input).map(Value::TupleStruct),
            Type::Struct(of) => each(of, &mut input).map(Value::Struct),
            _ => Err(de::Error::custom("a sequence")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        match self.0 {
            Type::Map(key, of) => {
                let mut entries = Vec::new();
                while let Some(entry) = input.next_entry_seed(&**key, &**of)? {
                    entries.push(entry);
                }
                Ok(Value::Map(entries))
            }
            Type::Struct(of) => fields(of, input).map(Value::Struct),
            _ => Err(de::Error::custom("a map")),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, input: A) -> Result<Value, A::Error> {
        let Type::Enum(variants) = self.0 else { return Err(de::Error::custom("an enum")) };
        let (at, held) = input.variant_seed(Identifier(&VARIANTS))?;
        let held = match &variants[at] {
            Variant::Unit => held.unit_variant().map(|()| Variant::Unit)?,
            Variant::Newtype(of) => Variant::Newtype(held.newtype_variant_seed(&**of)?.into()),
            Variant::Tuple(of) => Variant::Tuple(held.tuple_variant(of.len(), Fields(of))?),
            Variant::Struct(of) => Variant::Struct(held.struct_variant(&FIELDS[..of.len()], Fields(of))?),
        };
        Ok(Value::Variant(u32::try_from(at).unwrap(), held))
    }
}

fn elements<'de, A: SeqAccess<'de>>(of: &Type, mut input: A) -> Result<Vec<Value>, A::Error> {
    let mut values = Vec::new();
    while let Some(value) = input.next_element_seed(of)? {
        values.push(value);
    }
    Ok(values)
}

fn each<'de, A: SeqAccess<'de>>(of: &[Type], input: &mut A) -> Result<Vec<Value>, A::Error> {
    of.iter().map(|of| input.next_element_seed(of)?.ok_or_else(|| de::Error::custom("too short"))).collect()
}

fn fields<'de, A: MapAccess<'de>>(of: &[Type], mut input: A) -> Result<Vec<Value>, A::Error> {
    let mut values = Vec::new();
    while let Some(at) = input.next_key_seed(Identifier(&FIELDS))? {
        assert_eq!(at, values.len(), "in the order in which they were written");
        values.push(input.next_value_seed(&of[at])?);
    }
    Ok(values)
}

/// What a variant holds.
struct Fields<'a>(&'a [Type]);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Vec<Value>, A::Error> {
        each(self.0, &mut input)
    }

    fn visit_map<A: MapAccess<'de>>(self, input: A) -> Result<Vec<Value>, A::Error> {
        fields(self.0, input)
    }
}

/// The place of a field or variant among these names.
struct Identifier(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Identifier {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<usize, D::Error> {
        input.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Identifier {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {:?}", self.0)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<usize, E> {
        self.0.iter().position(|known| *known == name).ok_or_else(|| E::custom("no such name"))
    }

    fn visit_u64<E: de::Error>(self, at: u64) -> Result<usize, E> {
        usize::try_from(at).map_err(E::custom)
    }
}
