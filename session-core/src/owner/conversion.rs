//! From an owner back to the id that it was made of.

use super::Owner;

/// The owner is none that an id of this type makes.
///
/// `007` and `+7` are other owners than `Owner::from(7)`, so they are no number.
///
/// # Examples
///
/// ```
/// use session_core::Owner;
///
/// let owner = Owner::try_from("Zoë")?;
/// assert_eq!(u64::try_from(&owner).unwrap_err().to_string(), "the owner is not one that a u64 makes");
/// # Ok::<(), session_core::InvalidOwner>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the owner is not one that a {type_name} makes")]
pub struct UnexpectedOwner {
    type_name: &'static str,
}

/// The id whose owner is exactly this one.
fn id_of<T>(owner: &Owner, type_name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, UnexpectedOwner>
where
    T: Copy + Into<Owner>,
{
    let id = owner.as_str().and_then(parse);
    id.filter(|id| (*id).into() == *owner).ok_or(UnexpectedOwner { type_name })
}

macro_rules! back_to {
    ($what:literal: $($id:ty, $type_name:literal;)*) => {$(
        impl TryFrom<&Owner> for $id {
            type Error = UnexpectedOwner;

            #[doc = concat!("The ", $what, " of which `Owner::from` makes this owner.")]
            fn try_from(owner: &Owner) -> Result<Self, UnexpectedOwner> {
                id_of(owner, $type_name, |text| text.parse().ok())
            }
        }

        impl TryFrom<Owner> for $id {
            type Error = UnexpectedOwner;

            #[doc = concat!("The ", $what, " of which `Owner::from` makes this owner.")]
            fn try_from(owner: Owner) -> Result<Self, UnexpectedOwner> {
                (&owner).try_into()
            }
        }
    )*};
}

back_to! { "number":
    i8, "i8"; i16, "i16"; i32, "i32"; i64, "i64"; i128, "i128"; isize, "isize";
    u8, "u8"; u16, "u16"; u32, "u32"; u64, "u64"; u128, "u128"; usize, "usize";
}

#[cfg(feature = "uuid")]
impl From<uuid::Uuid> for Owner {
    /// The UUID as text: lower case, with hyphens (RFC 9562, section 4).
    fn from(id: uuid::Uuid) -> Self {
        let mut text = uuid::Uuid::encode_buffer();
        let text: &str = id.hyphenated().encode_lower(&mut text);
        Self(text.as_bytes().into())
    }
}

#[cfg(feature = "uuid")]
back_to! { "UUID": uuid::Uuid, "UUID"; }

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner(text: &str) -> Owner {
        Owner::try_from(text).unwrap()
    }

    proptest! {
        #[test]
        fn a_number_comes_back(number: i128, small: u8) {
            prop_assert_eq!(i128::try_from(Owner::from(number)), Ok(number));
            prop_assert_eq!(u8::try_from(&Owner::from(small)), Ok(small));
        }

        #[test]
        fn what_comes_back_makes_the_same_owner(text in "[-+ 0-9]{1,5}") {
            let owner = owner(&text);
            if let Ok(number) = i64::try_from(&owner) {
                prop_assert_eq!(Owner::from(number), owner);
            }
        }

        #[test]
        fn an_escaped_owner_is_one_line_and_tells_owners_apart(one in "\\PC{1,9}|[\\\\x\"'nruFfé\n\r\u{202e}]{1,6}", bytes in any::<[u8; 2]>()) {
            let owners = [owner(&one), Owner::try_from(bytes.as_slice()).unwrap()];
            let escaped = owners.each_ref().map(|owner| owner.escaped().to_string());
            prop_assert!(escaped.iter().all(|text| !text.chars().any(char::is_control)), "{escaped:?}");
            prop_assert_eq!(escaped[0] == escaped[1], owners[0] == owners[1]);
        }
    }

    #[test]
    fn another_owner_than_the_number_s_is_no_number() {
        for text in
            ["007", "+7", "-0", " 7", "7 ", "7.0", "0x7", "٧", "", "-129", "256"].into_iter().filter(|t| !t.is_empty())
        {
            assert!(u8::try_from(owner(text)).is_err() && i8::try_from(owner(text)).is_err(), "{text}");
        }
        assert_eq!((i8::try_from(owner("-7")), u8::try_from(owner("0"))), (Ok(-7), Ok(0)));
    }

    #[test]
    fn text_is_text_and_other_bytes_are_escaped() {
        assert_eq!((owner("Zoë").to_string().as_str(), owner("Zoë").as_str()), ("Zoë", Some("Zoë")));
        assert_eq!(format!("{:>5}", owner("Zoë")), "  Zoë", "a column of a table");
        let bytes = Owner::try_from([b'a', 0xff, b'\n'].as_slice()).unwrap();
        assert_eq!((bytes.to_string().as_str(), bytes.as_str()), (r"a\xff\n", None));
        assert_eq!(bytes.escaped().to_string(), r"a\xff\n");
        assert_ne!(owner(r"a\xff\n").escaped().to_string(), bytes.escaped().to_string());
    }

    #[test]
    fn what_could_forge_a_line_is_escaped_for_a_log_and_in_debug() {
        let forged = owner("O'Zoë\r\n\u{1b}[31m\u{85}\u{2028}\u{202e}\\\"");
        assert_eq!(forged.escaped().to_string(), r#"O'Zoë\r\n\u{1b}[31m\u{85}\u{2028}\u{202e}\\\""#);
        assert_eq!(format!("{forged:?}"), format!("Owner({})", forged.escaped()));
    }

    #[cfg(feature = "uuid")]
    #[test]
    fn a_uuid_comes_back_only_in_its_own_spelling() {
        let id = uuid::Uuid::from_u128(0xa1a2_a3a4_b1b2_c1c2_d1d2_d3d4_d5d6_d7d8);
        assert_eq!(Owner::from(id).as_str(), Some("a1a2a3a4-b1b2-c1c2-d1d2-d3d4d5d6d7d8"));
        assert_eq!(uuid::Uuid::try_from(Owner::from(id)), Ok(id));
        for other in [id.simple().to_string(), id.to_string().to_uppercase(), id.urn().to_string()] {
            assert!(uuid::Uuid::try_from(owner(&other)).is_err(), "{other}");
        }
    }
}
