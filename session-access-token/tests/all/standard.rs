//! What is minted is PASETO `v4.public` and PASERK, and stays what it is.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use session_access_token::{AccessTokenExt, KeySet, PublicKey, Verifier};

use crate::support::*;

/// The official test vectors 4-S-1 to 4-S-3 (<https://github.com/paseto-standard/test-vectors>, `v4.json`): footer, implicit
/// assertion, token. They have one key and one payload.
const VECTORS: [(&str, &str, &str); 3] = [
    (
        "",
        "",
        "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDowMDowMCswMDowMCJ9bg_XBBz\
         ds8lTZShVlwwKSgeKpLT3yukTw6JUz3W4h_ExsQV-P0V54zemZDcAxFaSeef1QlXEFtkqxT1ciiQEDA",
    ),
    (
        r#"{"kid":"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN"}"#,
        "",
        "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDowMDowMCswMDowMCJ9v3Jt8mx\
         _TdM2ceTGoqwrh4yDFn0XsHvvV_D0DtwQxVrJEBMl0F2caAdgnpKlt4p7xBnx1HcO-SPo8FPp214HDw.eyJraWQiOiJ6VmhNaVBCUDlmUmYyc2\
         5FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
    ),
    (
        r#"{"kid":"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN"}"#,
        r#"{"test-vector":"4-S-3"}"#,
        "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDowMDowMCswMDowMCJ9NPWciuD\
         3d0o5eXJXG5pJy-DiVEoyPYWs1YSTwWHNJq6DZD3je5gf-0M4JR9ipdUSJbIovzmBECeaWmaqcaP0DQ.eyJraWQiOiJ6VmhNaVBCUDlmUmYyc2\
         5FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
    ),
];

const PAYLOAD: &str = r#"{"data":"this is a signed message","exp":"2022-01-01T00:00:00+00:00"}"#;

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}

#[test]
fn the_second_implementation_of_these_tests_agrees_with_the_official_vectors() {
    let seed = bytes("b4cbfb43df4ce210727d953e4a713307fa19bb7d9f85041438d9e11b942a3774");
    let public = bytes::<32>("1eb9dbbbbc047c03fd70604e0071f0987e16b28b757225c11f00415d0e20b1a2");
    for (footer, implicit, token) in VECTORS {
        assert_eq!(sign_v4(&seed, PAYLOAD, footer, implicit), token);
        assert_eq!(verify_v4(&public, token, implicit), Some((PAYLOAD.to_owned(), footer.to_owned())));
        assert_eq!(verify_v4(&public, token, "other"), None);
    }
}

#[tokio::test]
async fn a_minted_token_is_genuine_to_another_implementation() {
    let (_, _, session) = Site::new().logged_in(USER).await;
    let token = session.access_token(&tokens()).await.unwrap();
    let paserk = key(SEED[0]).public_key().to_string();
    let public = Base64UrlUnpadded::decode_vec(&paserk["k4.public.".len()..]).unwrap();
    let (payload, footer) = verify_v4(&public, token.expose(), IMPLICIT).unwrap();
    assert_eq!(footer, crate::support::footer());
    let claims: serde_json::Value = serde_json::from_str(&payload).unwrap();
    assert_eq!((&claims["sub"], &claims["iss"], &claims["aud"]), (&"42".into(), &ISSUER.into(), &AUDIENCE.into()));
    assert_eq!(claims["nbf"], claims["iat"]);
    assert!(claims["exp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(verify_v4(&public, token.expose(), ""), None, "the implicit assertion counts");
}

/// The official test vectors of PASERK, `k4.public` and `k4.pid`: the key in hex, its text and its id.
#[test]
fn keys_and_their_ids_are_written_as_in_paserk() {
    for (text, id) in [
        (
            "k4.public.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "k4.pid.S_XQmeEwHbbvRmiyfXfHYpLGjXGzjTRSDoT1YtTakWFE",
        ),
        (
            "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8",
            "k4.pid.9ShR3xc8-qVJ_di0tc9nx0IDIqbatdeM2mqLFBJsKRHs",
        ),
    ] {
        let key: PublicKey = text.parse().unwrap();
        assert_eq!((key.to_string().as_str(), key.id()), (text, id));
    }
    for text in [
        "k4.pid.9ShR3xc8-qVJ_di0tc9nx0IDIqbatdeM2mqLFBJsKRHs",
        "k2.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8",
        "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjg",
        "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8=",
        "",
    ] {
        assert!(text.parse::<PublicKey>().is_err(), "{text}");
    }
}

/// A token and a key set of the first version. What has been published must be read by each later version.
#[test]
fn a_token_of_the_first_version_is_still_good() {
    let keys = KeySet::from_json(include_str!("../first/keys.json")).unwrap();
    let verifier = Verifier::new(keys, ISSUER, AUDIENCE).unwrap();
    let minted = humantime::parse_rfc3339("2026-11-28T12:00:00Z").unwrap();
    let claims = verifier.verify_at(include_str!("../first/token").trim(), minted).unwrap();
    assert_eq!((claims.subject(), claims.session_id()), (Some("42"), "AAECAwQFBgcICQoLDA0ODw"));
    assert_eq!(claims.expires_at(), minted + Duration::from_secs(60));
}
