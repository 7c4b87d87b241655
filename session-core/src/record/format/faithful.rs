//! A serializer around that of a format. It refuses what the format would write, and then not read back the same.

use std::fmt::Display;

use serde::ser::{self, Error as _, Serialize, Serializer};

/// How deeply arrays and objects may be nested, in every format. The reader of JSON stops at 127.
const DEEPEST: u8 = 100;

const TOO_DEEP: &str = "what is nested deeper than 100 levels cannot be read back";
const NOT_FINITE: &str = "JSON has no NaN and no infinity";
const NULL_INSIDE_SOME: &str = "this Some is written as null, which is read back as None";

/// What a format does not keep.
pub(super) struct Rules {
    has_nan_and_infinity: bool,
    /// Whether it writes more than a null for a `Some` around nothing.
    keeps_null_inside_some: bool,
    /// How many levels bytes take.
    levels_of_bytes: u8,
}

pub(super) const JSON: Rules = Rules { has_nan_and_infinity: false, keeps_null_inside_some: false, levels_of_bytes: 1 };

#[cfg(feature = "messagepack")]
pub(super) const MESSAGE_PACK: Rules =
    Rules { has_nan_and_infinity: true, keeps_null_inside_some: false, levels_of_bytes: 0 };

#[cfg(feature = "bincode")]
pub(super) const BINCODE: Rules =
    Rules { has_nan_and_infinity: true, keeps_null_inside_some: true, levels_of_bytes: 0 };

/// Writes a value, or refuses it.
pub(super) fn write<T: Serialize + ?Sized, S: Serializer>(
    value: &T,
    rules: &'static Rules,
    inner: S,
) -> Result<S::Ok, S::Error> {
    part(value, rules).serialize(inner)
}

/// The value, as one that refuses to be written where it would not be read back.
pub(super) fn part<'a, T: ?Sized>(value: &'a T, rules: &'static Rules) -> Part<'a, T> {
    Part { value, rules, levels: DEEPEST, inside_some: false }
}

/// Passes everything on to the inner serializer, but what it would not keep.
struct Faithful<S> {
    inner: S,
    rules: &'static Rules,
    /// How many more levels may be opened.
    levels: u8,
    /// Whether the value is that of a `Some`, which a null would turn into `None`.
    inside_some: bool,
}

/// Passes on the parts of an array or object.
struct Parts<C> {
    inner: C,
    rules: &'static Rules,
    levels: u8,
}

/// A value inside another.
pub(super) struct Part<'a, T: ?Sized> {
    value: &'a T,
    rules: &'static Rules,
    levels: u8,
    inside_some: bool,
}

impl<S: Serializer> Faithful<S> {
    /// A value that is written in the place of this one.
    fn same<'a, T: ?Sized>(&self, value: &'a T) -> Part<'a, T> {
        Part { value, rules: self.rules, levels: self.levels, inside_some: self.inside_some }
    }

    /// How many levels are left after opening that number.
    fn open(&self, levels: u8) -> Result<u8, S::Error> {
        self.levels.checked_sub(levels).ok_or_else(|| S::Error::custom(TOO_DEEP))
    }

    fn judge_null(&self) -> Result<(), S::Error> {
        if self.inside_some && !self.rules.keeps_null_inside_some {
            Err(S::Error::custom(NULL_INSIDE_SOME))
        } else {
            Ok(())
        }
    }
}

impl<C> Parts<C> {
    fn part<'a, T: ?Sized>(&self, value: &'a T) -> Part<'a, T> {
        Part { value, rules: self.rules, levels: self.levels, inside_some: false }
    }
}

impl<T: Serialize + ?Sized> Serialize for Part<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let Self { value, rules, levels, inside_some } = *self;
        value.serialize(Faithful { inner, rules, levels, inside_some })
    }
}

macro_rules! pass_on {
    ($($method:ident: $value:ty)*) => {$(
        fn $method(self, value: $value) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<S: Serializer> Serializer for Faithful<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<S::SerializeSeq>;
    type SerializeTuple = Parts<S::SerializeTuple>;
    type SerializeTupleStruct = Parts<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<S::SerializeTupleVariant>;
    type SerializeMap = Parts<S::SerializeMap>;
    type SerializeStruct = Parts<S::SerializeStruct>;
    type SerializeStructVariant = Parts<S::SerializeStructVariant>;

    pass_on! {
        serialize_bool: bool
        serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64 serialize_i128: i128
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32 serialize_u64: u64 serialize_u128: u128
        serialize_char: char serialize_str: &str
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if self.rules.has_nan_and_infinity || value.is_finite() {
            self.inner.serialize_f32(value)
        } else {
            Err(S::Error::custom(NOT_FINITE))
        }
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if self.rules.has_nan_and_infinity || value.is_finite() {
            self.inner.serialize_f64(value)
        } else {
            Err(S::Error::custom(NOT_FINITE))
        }
    }

    /// JSON has an array for bytes.
    fn serialize_bytes(self, value: &[u8]) -> Result<S::Ok, S::Error> {
        self.open(self.rules.levels_of_bytes)?;
        self.inner.serialize_bytes(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.judge_null()?;
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let part = Part { inside_some: true, ..self.same(value) };
        self.inner.serialize_some(&part)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.judge_null()?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.judge_null()?;
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    /// A newtype is written as what it holds.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        let part = self.same(value);
        self.inner.serialize_newtype_struct(name, &part)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let part = Part { value, rules: self.rules, levels: self.open(1)?, inside_some: false };
        self.inner.serialize_newtype_variant(name, index, variant, &part)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Parts { rules: self.rules, levels: self.open(1)?, inner: self.inner.serialize_seq(length)? })
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Parts { rules: self.rules, levels: self.open(1)?, inner: self.inner.serialize_tuple(length)? })
    }

    fn serialize_tuple_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Parts { rules: self.rules, levels: self.open(1)?, inner: self.inner.serialize_tuple_struct(name, length)? })
    }

    /// An array in an object.
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let levels = self.open(2)?;
        Ok(Parts {
            rules: self.rules,
            levels,
            inner: self.inner.serialize_tuple_variant(name, index, variant, length)?,
        })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Parts { rules: self.rules, levels: self.open(1)?, inner: self.inner.serialize_map(length)? })
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        Ok(Parts { rules: self.rules, levels: self.open(1)?, inner: self.inner.serialize_struct(name, length)? })
    }

    /// An object in an object.
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let levels = self.open(2)?;
        Ok(Parts {
            rules: self.rules,
            levels,
            inner: self.inner.serialize_struct_variant(name, index, variant, length)?,
        })
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! pass_on_elements {
    ($($of:ident: $method:ident)*) => {$(
        impl<C: ser::$of> ser::$of for Parts<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let part = self.part(value);
                self.inner.$method(&part)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

pass_on_elements! {
    SerializeSeq: serialize_element
    SerializeTuple: serialize_element
    SerializeTupleStruct: serialize_field
    SerializeTupleVariant: serialize_field
}

macro_rules! pass_on_fields {
    ($($of:ident)*) => {$(
        impl<C: ser::$of> ser::$of for Parts<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), C::Error> {
                let part = self.part(value);
                self.inner.serialize_field(key, &part)
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(key)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

pass_on_fields! { SerializeStruct SerializeStructVariant }

impl<C: ser::SerializeMap> ser::SerializeMap for Parts<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let part = self.part(key);
        self.inner.serialize_key(&part)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let part = self.part(value);
        self.inner.serialize_value(&part)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
